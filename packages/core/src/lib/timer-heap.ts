/** A timer that stands in the heap. `order` keeps timers of one instant in the order in which they were set. */
export interface HeapTimer {
  readonly at: number
  readonly order: number
  readonly callback: () => void
  cancelled: boolean
}

/**
 * Timers by the instant at which they fall due. Setting, cancelling and taking one costs a logarithm of how many
 * there are, so that a simulation may hold millions.
 */
export interface TimerHeap {
  add(timer: HeapTimer): void
  /** Takes no effect on a timer that was taken or cancelled before. */
  cancel(timer: HeapTimer): void
  /** The timer that falls due next. */
  peek(): HeapTimer | undefined
  /** Takes the timer that falls due next out of the heap. */
  take(): HeapTimer | undefined
  /** How many wait. */
  readonly size: number
}

export function createTimerHeap(): TimerHeap {
  let heap: HeapTimer[] = []
  let cancelled = 0

  const take = (): HeapTimer | undefined => {
    const [top] = heap
    const last = heap.pop()
    if (last !== undefined && heap.length > 0) sink(heap, last, 0)
    return top
  }
  /** Cancelled timers stay where they are until they come up, or until they are the most. */
  const dropCancelledTop = (): void => {
    while (heap[0]?.cancelled === true) {
      take()
      cancelled -= 1
    }
  }
  return {
    add(timer) {
      heap.push(timer)
      rise(heap, timer, heap.length - 1)
    },
    cancel(timer) {
      if (timer.cancelled) return
      timer.cancelled = true
      cancelled += 1
      if (cancelled <= 64 || cancelled * 2 < heap.length) return
      // An array in order is a heap.
      heap = heap.filter((one) => !one.cancelled).sort((a, b) => (isBefore(a, b) ? -1 : 1))
      cancelled = 0
    },
    peek() {
      dropCancelledTop()
      return heap[0]
    },
    take() {
      dropCancelledTop()
      const timer = take()
      // Whoever cancels it from now on changes no count.
      if (timer !== undefined) timer.cancelled = true
      return timer
    },
    get size() {
      return heap.length - cancelled
    },
  }
}

const isBefore = (a: HeapTimer, b: HeapTimer): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)

function rise(heap: HeapTimer[], timer: HeapTimer, from: number): void {
  let index = from
  while (index > 0) {
    const parent = (index - 1) >> 1
    const above = heap[parent]
    if (above === undefined || !isBefore(timer, above)) break
    heap[index] = above
    index = parent
  }
  heap[index] = timer
}

function sink(heap: HeapTimer[], timer: HeapTimer, from: number): void {
  let index = from
  for (;;) {
    let least = index * 2 + 1
    const [left, right] = [heap[least], heap[least + 1]]
    if (left !== undefined && right !== undefined && isBefore(right, left)) least += 1
    const below = heap[least]
    if (below === undefined || !isBefore(below, timer)) break
    heap[index] = below
    index = least
  }
  heap[index] = timer
}

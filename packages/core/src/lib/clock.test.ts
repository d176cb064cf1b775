import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { sleepOn, systemClock } from './clock.ts'
import { isCoded } from './errors.ts'
import { createFakeClock } from './fake-clock.ts'

test('the system clock says the machine’s time, and time that does not jump', () => {
  expect(Math.abs(systemClock.now() - Date.now())).toBeLessThan(1000)
  const from = systemClock.monotonic()
  expect(systemClock.monotonic()).toBeGreaterThanOrEqual(from)
})

test('the system clock fires once, and not when cancelled', async () => {
  const fired: string[] = []
  systemClock.after(1, () => fired.push('kept'))
  const cancel = systemClock.after(1, () => fired.push('cancelled'))
  cancel()
  cancel()
  await systemClock.sleep(20)
  expect(fired).toEqual(['kept'])
})

test('a delay longer than a Node timer takes does not fire at once', async () => {
  const warnings: string[] = []
  const onWarning = ({ name }: Error) => warnings.push(name)
  process.on('warning', onWarning)
  let fired = false
  const cancel = systemClock.after(2 ** 31 + 60_000, () => {
    fired = true
  })
  await systemClock.sleep(20)
  cancel()
  process.off('warning', onWarning)
  expect(fired).toBe(false)
  expect(warnings).not.toContain('TimeoutOverflowWarning')
})

test('timers of the system clock keep no process alive', () => {
  const script = `import { systemClock } from ${JSON.stringify(new URL('clock.ts', import.meta.url).href)}
    systemClock.after(60_000, () => {})
    process.stdout.write('done')`
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], { timeout: 20_000 })
  expect(output.toString()).toBe('done')
})

test('a sleep ends when time has come, and takes its listener off the signal', async () => {
  const clock = createFakeClock()
  const controller = new AbortController()
  const listeners = { added: 0, removed: 0 }
  const { signal } = controller
  const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)]
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners.added += 1
    add(...args)
  }
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners.removed += 1
    remove(...args)
  }
  const sleeping = sleepOn(clock, 10, signal)
  await clock.advance(10)
  await sleeping
  expect(listeners).toEqual({ added: 1, removed: 1 })
})

test('a sleep on a signal that was aborted before does not begin', async () => {
  const clock = createFakeClock()
  const reason = new Error('stopping')
  const error = await sleepOn(clock, 10, AbortSignal.abort(reason)).catch((caught: unknown) => caught)
  expect(isCoded(error, 'ABORTED')).toBe(true)
  expect(error).toMatchObject({ cause: reason, retryable: false })
  expect(clock.pending).toBe(0)
})

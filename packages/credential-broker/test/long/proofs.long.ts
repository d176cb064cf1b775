import { test } from 'vitest'
import { provesAskingDay } from '../asking-day.ts'
import { provesDay, provesThrottling } from '../proofs.ts'

const print = (text: string) => void process.stdout.write(`\n${text}`)

test('110 pods, a whole day', async () => print(await provesDay(24)), 300_000)

test('pods that only ask, a whole day', async () => print(await provesAskingDay(24)), 300_000)

test('a throttled account and a fleet', async () => print(await provesThrottling(40, 110)), 300_000)

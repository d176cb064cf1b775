import { it } from 'vitest'
import { planReachesDesired } from '../plan.property.ts'
import { routingPlanReachesDesired } from '../routing.property.ts'

it('reaches the desired rules from any state, and plans nothing after that', () => planReachesDesired(10_000))

it('reaches the desired routing policy from any state, and plans nothing after that', () =>
  routingPlanReachesDesired(10_000))

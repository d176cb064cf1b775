import { expect, test } from 'vitest'
import { readAgentPlan } from './agent-settings.ts'

const DEFAULTS = ['--node=node-1', '--host-ip=10.0.0.250']
const settingsOf = (...args: string[]) =>
  readAgentPlan({ args, env: {}, rules: [], places: new Map() }, 'scenario.yaml', DEFAULTS).settings

test('what a plan says replaces the default, of a list too', () => {
  expect(settingsOf()).toMatchObject({ node: 'node-1', hostIps: ['10.0.0.250'] })
  expect(settingsOf('--host-ip=10.0.0.1,fd00::1')).toMatchObject({
    node: 'node-1',
    hostIps: ['10.0.0.1', 'fd00::1'],
  })
  expect(settingsOf('--node', 'other', '--host-ip', '10.0.0.1')).toMatchObject({
    node: 'other',
    hostIps: ['10.0.0.1'],
  })
})

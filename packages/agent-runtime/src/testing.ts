export type { TestAgent, TestAgentOptions, TestAnswer, TestLine } from './lib/test-agent.ts'
export { createTestAgent } from './lib/test-agent.ts'

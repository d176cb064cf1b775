import { agentEnv, runAgentCommand, startAgent } from '../src/agent.ts'
import { mustSkip } from '../src/lab/requirements.ts'
import { describeMainJob } from '../src/main-job.ts'

if (!mustSkip('the main job', ['ip', 'iptables', 'conntrack', 'curl', 'aws'])) {
  describeMainJob('the built agent on a real network', async (lab, world) => ({
    agent: await startAgent(lab, world),
    command: (args) => runAgentCommand(lab, args, agentEnv(world)),
  }))
}

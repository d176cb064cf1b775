import { library } from '../../scripts/tsup.base.ts'

export default library(['src/index.ts', 'src/kubernetes.ts', 'src/node.ts', 'src/testing.ts'])

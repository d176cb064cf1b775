import { library } from '../../scripts/tsup.base.ts'

export default library(['src/index.ts', 'src/testing.ts'])

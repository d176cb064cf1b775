// vitest reads only this name; the list of projects is vitest.workspace.ts.
import workspace from './vitest.workspace.ts'

export default workspace

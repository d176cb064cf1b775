import { type CommandInput, say } from './command.ts'

export async function doctor(_input: CommandInput & { readonly json: boolean }): Promise<number> {
  return say('')
}

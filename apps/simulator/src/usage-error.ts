/** The command line is wrong, or the machine refuses what it asks for: one line and exit status 2. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'UsageError'
  }
}

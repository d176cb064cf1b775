/** A step asks for what cannot be: the scenario is wrong, at this step. */
export class StepProblem extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'StepProblem'
  }
}

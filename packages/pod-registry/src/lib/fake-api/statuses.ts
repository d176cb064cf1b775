/** A refusal of the API server: what becomes a `Status` object with an HTTP status. */
export class ApiStatusError extends Error {
  readonly code: number
  readonly reason: string
  readonly retryAfterSeconds: number | undefined
  readonly causes: readonly { reason: string; message: string }[]

  constructor(
    code: number,
    reason: string,
    message: string,
    options: { retryAfterSeconds?: number | undefined; causes?: { reason: string; message: string }[] } = {},
  ) {
    super(message)
    this.code = code
    this.reason = reason
    this.retryAfterSeconds = options.retryAfterSeconds
    this.causes = options.causes ?? []
  }
}

/** The `Status` object of a refusal (Kubernetes API conventions, "Response Status Kind"). */
export const statusOf = (error: ApiStatusError): object => ({
  kind: 'Status',
  apiVersion: 'v1',
  metadata: {},
  status: 'Failure',
  message: error.message,
  reason: error.reason,
  ...(error.retryAfterSeconds === undefined && error.causes.length === 0
    ? {}
    : {
        details: {
          ...(error.causes.length === 0 ? {} : { causes: error.causes }),
          ...(error.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: error.retryAfterSeconds }),
        },
      }),
  code: error.code,
})

/** The `Status` object that says that an object is gone. */
export const deletedStatus = ({ plural, group }: Named, { name, uid }: { name: string; uid?: string }) => ({
  kind: 'Status',
  apiVersion: 'v1',
  metadata: {},
  status: 'Success',
  details: { name, ...(group !== '' && { group }), kind: plural, uid },
})

export const badRequest = (message: string) => new ApiStatusError(400, 'BadRequest', message)
export const unauthorized = () => new ApiStatusError(401, 'Unauthorized', 'Unauthorized')
/** `pods`, and `daemonsets.apps` where there is a group. */
const qualified = ({ plural, group }: Named): string => (group === '' ? plural : `${plural}.${group}`)

export interface Named {
  readonly plural: string
  readonly group: string
}

export const notFound = (resource: Named, name: string) =>
  new ApiStatusError(404, 'NotFound', `${qualified(resource)} "${name}" not found`)
export const noSuchPath = () =>
  new ApiStatusError(404, 'NotFound', 'the server could not find the requested resource')
export const forbidden = (message: string) => new ApiStatusError(403, 'Forbidden', message)
export const notAcceptable = (message: string) => new ApiStatusError(406, 'NotAcceptable', message)
export const alreadyExists = (resource: Named, name: string) =>
  new ApiStatusError(409, 'AlreadyExists', `${qualified(resource)} "${name}" already exists`)
export const conflict = (resource: Named, name: string) =>
  new ApiStatusError(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${qualified(resource)} "${name}": the object has been modified; please apply your changes to the latest version and try again`,
  )
export const expired = (message: string) => new ApiStatusError(410, 'Expired', message)
export const invalid = (message: string) => new ApiStatusError(422, 'Invalid', message)
export const tooLargeVersion = (asked: string, current: number) =>
  new ApiStatusError(504, 'Timeout', `Too large resource version: ${asked}, current: ${current}`, {
    retryAfterSeconds: 1,
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
  })

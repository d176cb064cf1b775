/** An answer of the query protocol before it is written to a socket. */
export interface StsAnswer {
  readonly status: number
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
  /** The error's code as CloudTrail's `errorCode`; `undefined` for a success. */
  readonly errorCode?: string
  readonly errorMessage?: string
}

const NAMESPACE = 'https://sts.amazonaws.com/doc/2011-06-15/'

/** `<ActionResponse>` around the result, as STS writes it. */
export function success(
  action: string,
  result: Readonly<Record<string, XmlValue>>,
  requestId: string,
): StsAnswer {
  const inner = toXml({ [`${action}Result`]: result, ResponseMetadata: { RequestId: requestId } })
  return { status: 200, body: `<${action}Response xmlns="${NAMESPACE}">${inner}</${action}Response>\n` }
}

/** A refusal with the status, code and wording that STS uses. */
export class StsRefusal extends Error {
  readonly status: number
  readonly code: string
  readonly headers: Readonly<Record<string, string>>
  /** Where it is refused because it could not be judged: what STS would know and this fake does not. */
  readonly notJudged: readonly string[]

  constructor(
    status: number,
    code: string,
    message: string,
    headers: Readonly<Record<string, string>> = {},
    notJudged: readonly string[] = [],
  ) {
    super(message)
    this.name = 'StsRefusal'
    this.status = status
    this.code = code
    this.headers = headers
    this.notJudged = notJudged
  }
}

export function failure(refusal: StsRefusal, requestId: string): StsAnswer {
  const inner = toXml({
    Error: {
      Type: refusal.status < 500 ? 'Sender' : 'Receiver',
      Code: refusal.code,
      Message: refusal.message,
    },
    RequestId: requestId,
  })
  return {
    status: refusal.status,
    body: `<ErrorResponse xmlns="${NAMESPACE}">${inner}</ErrorResponse>\n`,
    headers: refusal.headers,
    errorCode: refusal.code,
    errorMessage: refusal.message,
  }
}

type XmlValue = string | number | undefined | { readonly [name: string]: XmlValue }

function toXml(value: XmlValue): string {
  if (typeof value !== 'object') return escapeXml(String(value ?? ''))
  return Object.entries(value)
    .filter(([, child]) => child !== undefined)
    .map(([name, child]) => `<${name}>${toXml(child)}</${name}>`)
    .join('')
}

const escapeXml = (text: string): string => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`)

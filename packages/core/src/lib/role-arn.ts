import { CodedError } from './errors.ts'
import { quoted } from './foreign-text.ts'

/** The AWS partitions with the DNS suffix of each (botocore's partitions.json). */
export const PARTITIONS = {
  aws: 'amazonaws.com',
  'aws-cn': 'amazonaws.com.cn',
  'aws-us-gov': 'amazonaws.com',
  'aws-iso': 'c2s.ic.gov',
  'aws-iso-b': 'sc2s.sgov.gov',
  'aws-iso-e': 'cloud.adc-e.uk',
  'aws-iso-f': 'csp.hci.ic.gov',
  'aws-eusc': 'amazonaws.eu',
} as const

export type Partition = keyof typeof PARTITIONS

/** An IAM role. `text` is the whole ARN; two roles are the same exactly if their texts are. */
export interface RoleArn {
  readonly partition: Partition
  /** Twelve digits. */
  readonly account: string
  /** Begins and ends with a slash: `/`, or `/team/` for `role/team/app`. */
  readonly path: string
  /** Without the path: what the metadata service lists. */
  readonly name: string
  readonly text: string
}

/** What short role names are completed with: `arn:aws:iam::123456789012:role/` and perhaps a path. */
export interface BaseArn {
  readonly partition: Partition
  readonly account: string
  readonly path: string
  readonly text: string
}

// IAM: names are 1-64 of [\w+=,.@-]; paths are slash-delimited printable ASCII, at most 512 characters.
const ARN = /^arn:([a-z-]+):iam::(\d{12}):role(\/(?:[\x21-\x2e\x30-\x7e]+\/)*)([\w+=,.@-]{1,64})?$/
const SHORT_NAME = /^(?:\/?((?:[\x21-\x2e\x30-\x7e]+\/)*))([\w+=,.@-]{1,64})$/
const LONGEST_PATH = 512

/** Parses a full role ARN; throws `ARN_INVALID` with what is wrong and what a right one looks like. */
export function parseRoleArn(text: string): RoleArn {
  const { partition, account, path, name } = split(text)
  if (name === undefined) throw invalid(text, 'it ends where the role name should be')
  return { partition, account, path, name, text }
}

/** Parses the ARN prefix that short role names are joined to, with or without its closing slash; throws `ARN_INVALID`. */
export function parseBaseArn(text: string): BaseArn {
  const withSlash = text.endsWith('/') ? text : `${text}/`
  const { partition, account, path } = split(withSlash)
  return { partition, account, path, text: withSlash }
}

/** Whether the text is a role name, perhaps with a path, that a base ARN completes. */
export const isShortRoleName = (text: string): boolean => !/^arn:/i.test(text) && SHORT_NAME.test(text)

/**
 * The role that an annotation, a flag or a request names: a full ARN, or a name (perhaps with a path) under the base
 * ARN. Throws `ARN_INVALID` where it is neither, or where a short name has no base to complete it.
 */
export function resolveRole(text: string, base: BaseArn | undefined): RoleArn {
  if (/^arn:/i.test(text)) return parseRoleArn(text)
  const match = SHORT_NAME.exec(text)
  if (match === null) throw invalid(text, 'it is neither a role name nor a role ARN')
  if (base === undefined) {
    throw new CodedError(
      'ARN_INVALID',
      `role ${quoted(text)} is a short name, and no base ARN is known to complete it: write the full ARN or set --base-role-arn`,
      { detail: { role: text } },
    )
  }
  return parseRoleArn(`${base.text}${match[1] ?? ''}${match[2] ?? ''}`)
}

/**
 * The base ARN of the account that an instance profile is in, as the metadata service's `iam/info` names it
 * (`arn:aws:iam::123456789012:instance-profile/node`); throws `ARN_INVALID`.
 */
export function baseArnOfInstanceProfile(instanceProfileArn: string): BaseArn {
  const account = /^(arn:[a-z-]+:iam::\d{12}):instance-profile\//.exec(instanceProfileArn)?.[1]
  if (account === undefined) {
    throw new CodedError(
      'ARN_INVALID',
      `${quoted(instanceProfileArn)} is not an instance profile such as arn:aws:iam::123456789012:instance-profile/NAME`,
    )
  }
  return parseBaseArn(`${account}:role/`)
}

/** The ARN that STS reports for a session of the role: `arn:aws:sts::…:assumed-role/NAME/SESSION`. */
export function assumedRoleArn(role: RoleArn, sessionName: string): string {
  return `arn:${role.partition}:sts::${role.account}:assumed-role/${role.name}/${sessionName}`
}

function split(text: string) {
  const match = ARN.exec(text)
  const [, partition = '', account = '', path = '/', name] = match ?? []
  if (match === null) throw invalid(text, 'it does not have the form of a role ARN')
  if (!Object.hasOwn(PARTITIONS, partition)) throw invalid(text, `"${partition}" is no AWS partition`)
  if (path.length > LONGEST_PATH) throw invalid(text, `its path is longer than ${LONGEST_PATH} characters`)
  return { partition: partition as Partition, account, path, name }
}

function invalid(text: string, why: string): CodedError<'ARN_INVALID'> {
  const shown = text.length > 200 ? `${text.slice(0, 200)}…` : text
  return new CodedError(
    'ARN_INVALID',
    `${quoted(shown)} is not an IAM role: ${why}; a right one is arn:aws:iam::123456789012:role/NAME`,
    { detail: { role: shown } },
  )
}

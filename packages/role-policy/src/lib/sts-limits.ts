// What STS AssumeRole takes (its API reference), held here so that no request is made that can never succeed.

export const SHORTEST_SESSION_SECONDS = 900
export const LONGEST_SESSION_SECONDS = 43_200
/** Where one role assumes another (role chaining). */
export const LONGEST_CHAINED_SESSION_SECONDS = 3600

export const isExternalId = (text: string): boolean => /^[\w+=,.@:/-]{2,1224}$/.test(text)

export const isPolicyArn = (text: string): boolean =>
  text.length <= 2048 && /^arn:[a-z-]+:iam::(?:aws|\d{12}):policy\/[\x21-\x7e]+$/.test(text)

export const MOST_POLICY_ARNS = 10
export const LONGEST_POLICY = 2048

export const isDuration = (seconds: number): boolean =>
  Number.isInteger(seconds) && seconds >= SHORTEST_SESSION_SECONDS && seconds <= LONGEST_SESSION_SECONDS

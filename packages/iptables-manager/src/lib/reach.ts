/**
 * - `answered`: somebody took the connection
 * - `refused`: the port is closed
 * - `unknown`: neither came in time, or it could not be tried
 */
export type Reached = 'answered' | 'refused' | 'unknown'

/**
 * Tries a TCP connection to an address of the node, on which nothing is sent. Rules outlive the agent that they lead
 * to, and only this tells. Never rejects.
 */
export type Reach = (address: string, port: number, signal?: AbortSignal) => Promise<Reached>

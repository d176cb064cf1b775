export type { Broker, BrokerAnswer, BrokerRequest, HeldSession, SessionOwner } from './lib/broker-port.ts'
export type { IssuedSession, TokenService, TokenServiceErrorCode } from './lib/token-service.ts'

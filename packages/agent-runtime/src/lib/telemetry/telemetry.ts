import type { Clock, Report } from '@kube2iam-ts/core'
import type { BrokerEvent, TokenServiceEvent } from '@kube2iam-ts/credential-broker'
import type { CaptureEvent } from '@kube2iam-ts/iptables-manager'
import type { EmulatorEvent } from '@kube2iam-ts/metadata-emulator'
import type { RegistryEvent } from '@kube2iam-ts/pod-registry'
import type { AgentEvent } from '../agent-events.ts'
import type { CredentialServiceEvent } from '../credential-service.ts'
import { createAgentTelemetry } from './agent-telemetry.ts'
import { createBrokerTelemetry } from './broker-telemetry.ts'
import { createCaptureTelemetry } from './capture-telemetry.ts'
import { createEmulatorTelemetry } from './emulator-telemetry.ts'
import type { Output } from './output.ts'
import { createRegistryTelemetry } from './registry-telemetry.ts'
import { createServiceTelemetry } from './service-telemetry.ts'
import { createTokenServiceTelemetry } from './token-service-telemetry.ts'

/** The one subscriber of every package's reports. */
export interface Telemetry {
  readonly agent: Report<AgentEvent>
  readonly registry: Report<RegistryEvent>
  readonly service: Report<CredentialServiceEvent>
  readonly broker: Report<BrokerEvent>
  readonly tokenService: Report<TokenServiceEvent>
  readonly emulator: Report<EmulatorEvent>
  readonly capture: Report<CaptureEvent>
}

export interface TelemetryOptions extends Output {
  readonly clock: Clock
  readonly node: string | undefined
  readonly clusterName: string | undefined
}

/** Turns reports into log lines, metrics, audit records and Kubernetes Events. Packages know none of these. */
export function createTelemetry({ clock, node, clusterName, ...output }: TelemetryOptions): Telemetry {
  return {
    agent: createAgentTelemetry(output),
    registry: createRegistryTelemetry(output),
    service: createServiceTelemetry(output, { clock, clusterName }),
    broker: createBrokerTelemetry(output, { clock, clusterName }),
    tokenService: createTokenServiceTelemetry(output),
    emulator: createEmulatorTelemetry(output),
    capture: createCaptureTelemetry(output, { node }),
  }
}

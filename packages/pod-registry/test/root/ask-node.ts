// Run inside a network namespace: says as JSON what the adapter sees there. Arguments: addresses.
import { parseIpAddress, systemClock } from '@kube2iam-ts/core'
import { createNodeAttachments } from '../../src/node.ts'

const attachments = createNodeAttachments({ clock: systemClock })
const found = process.argv.slice(2).map((address) => attachments.interfaceOf(parseIpAddress(address)) ?? null)
process.stdout.write(JSON.stringify({ found, interfaces: [...(attachments.interfaces() ?? [])] }))

export type { NodeAttachmentsOptions } from './lib/node-attachments.ts'
export { createNodeAttachments } from './lib/node-attachments.ts'

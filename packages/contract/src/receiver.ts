import { z } from 'zod'
import { AgentState } from './agent.ts'
import { Bytes, Id, InstantText, Name } from './primitives.ts'

const Path = z.string().min(1).max(200)
const Key = z.string().min(1).max(200)
const Told = z.string().nullable()

/** A computer in a rescue system: its disks can be overwritten so that a server comes home. */
export const Receiver = z
  .object({
    agentId: Id,
    siteId: Id,
    name: Name,
    state: AgentState,
    model: Told.describe('Of the computer, as its firmware names it'),
    addresses: z.array(z.string()),
    disks: z
      .array(
        z.object({
          path: Path,
          bytes: Bytes,
          model: Told,
          serial: Told,
          bus: Told,
          blocked: Told.describe('Why it must not be written'),
        }),
      )
      .nullable()
      .describe('Null: it does not answer now'),
    assignment: z
      .object({
        id: Id,
        machineId: Id.nullable(),
        serverName: z.string(),
        state: z
          .enum(['assigned', 'writing', 'written', 'restarting'])
          .describe('writing: its disks are mixed until that is repeated or done'),
        disks: z.array(z.object({ key: Key, path: Path, bytes: Bytes, model: Told, serial: Told })),
        assignedBy: z.string(),
        assignedAt: InstantText,
      })
      .nullable(),
  })
  .meta({ id: 'Receiver' })
export type Receiver = z.infer<typeof Receiver>

/** A server that a receiver could stand in for, and which of its disks would go where. */
export const ReceivableServer = z
  .object({
    machineId: Id,
    name: z.string(),
    disks: z.array(
      z.object({
        key: Key,
        label: z.string(),
        bytes: Bytes,
        proposed: Path.nullable().describe('Null: no disk of the receiver is left that is big enough'),
      }),
    ),
  })
  .meta({ id: 'ReceivableServer' })
export type ReceivableServer = z.infer<typeof ReceivableServer>

export const ReceiverAssignmentInput = z.strictObject({
  machineId: Id,
  disks: z
    .array(
      z.strictObject({
        key: Key,
        path: Path,
        bytes: Bytes.describe('As the receiver said: another disk at that path is refused'),
        serial: Told,
      }),
    )
    .min(1)
    .max(256),
  confirm: z.string().max(200).describe('The name of the server, typed: what is on the disks is lost'),
})

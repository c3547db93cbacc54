// What a step of a recovery plan does, as it is sent, exported and imported.
import type { ItemId } from '@understudy/domain/recovery-plans/plan-ids'
import type { StepAction as DomainAction } from '@understudy/domain/recovery-plans/step-action'
import type { SiteId } from '@understudy/domain/sites/site'
import { z } from 'zod'
import { Id } from './primitives.ts'

/** An id of its own kind: the same text, told apart by the compiler. */
export const idOf = <Kind extends string>(): z.ZodType<Kind, Kind> => Id as unknown as z.ZodType<Kind, Kind>

const ItemIdText = idOf<ItemId>()
const Text = z.string().max(10_000)
const LongText = z.string().max(100_000)
const Timeout = z
  .number()
  .nonnegative()
  .max(7 * 86_400)
  .describe('Seconds; 0: not chosen yet, and the plan cannot be run')
const Port = z.number().int().min(1).max(65_535)
const Words = z.record(z.string().min(1).max(200), Text)

const Endpoint = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('address'), address: Text }),
  z.strictObject({ kind: z.literal('machine'), machine: ItemIdText }),
])
const command = {
  where: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('server') }),
    z.strictObject({
      kind: z.literal('site'),
      site: idOf<SiteId>().describe(
        'Its id; in the text of a plan its name, or its id where several have that name',
      ),
    }),
    z.strictObject({ kind: z.literal('guest'), machine: ItemIdText }),
  ]),
  command: Text.describe('A program, never a line of a shell'),
  arguments: z.array(Text).max(200),
  environment: Words,
}
/** In Azure, with the sign-in and the subscription of a site. */
const azurePlace = {
  site: idOf<SiteId>()
    .nullable()
    .describe(
      'Its sign-in and its subscription are used: its id; in the text of a plan its name, or its id where several have that name. null: not chosen yet, and the plan cannot be run',
    ),
  resourceGroup: Text.describe('Empty: that of the site'),
}
const MachineOrNone = ItemIdText.nullable().describe('null: not chosen yet, and the plan cannot be run')
const Traffic = z.number().int().min(1).max(1000)
const Role = z.enum(['operator', 'contributor', 'owner'])

const Check = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('tcp'), target: Endpoint, port: Port }),
  z.strictObject({
    kind: z.literal('http'),
    target: Endpoint,
    scheme: z.enum(['http', 'https']),
    port: Port,
    path: Text,
    expectedStatus: z.number().int().min(100).max(599),
    expectedText: Text,
  }),
  z.strictObject({ kind: z.literal('script'), ...command }),
])

export const StepAction = z
  .discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('script'), ...command, timeoutSeconds: Timeout }),
    z.strictObject({
      kind: z.literal('manual'),
      instructions: LongText,
      assigneeRole: Role,
      timeoutSeconds: Timeout,
      whenTimedOut: z.enum(['fail', 'continue']),
    }),
    z.strictObject({
      kind: z.literal('approval'),
      question: LongText,
      approverRole: Role,
      timeoutSeconds: Timeout,
    }),
    z.strictObject({
      kind: z.literal('wait'),
      seconds: z
        .number()
        .nonnegative()
        .max(7 * 86_400),
    }),
    z.strictObject({
      kind: z.literal('probe'),
      check: Check,
      until: z.enum(['green', 'red']),
      intervalSeconds: z.number().min(0).max(3600),
      timeoutSeconds: Timeout,
    }),
    z.strictObject({
      kind: z.literal('http'),
      method: z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']),
      url: Text,
      headers: Words,
      body: LongText,
      expectedStatuses: z.array(z.number().int().min(100).max(599)).max(50),
      timeoutSeconds: Timeout,
    }),
    z.strictObject({
      kind: z.literal('dns'),
      server: Text,
      zone: Text,
      recordName: Text,
      recordType: z.enum(['A', 'AAAA', 'CNAME', 'TXT']),
      ttlSeconds: z
        .number()
        .int()
        .nonnegative()
        .max(2 ** 31 - 1),
      value: Endpoint,
      tsig: z
        .strictObject({
          name: Text,
          algorithm: z.enum(['hmac-sha256', 'hmac-sha384', 'hmac-sha512']),
          secretParameter: z.string().max(120),
        })
        .nullable(),
      timeoutSeconds: Timeout,
    }),
    z.strictObject({
      kind: z.literal('load-balancer'),
      socket: Text,
      backend: Text,
      server: Text,
      change: z.discriminatedUnion('kind', [
        z.strictObject({ kind: z.literal('state'), state: z.enum(['ready', 'drain', 'maint']) }),
        z.strictObject({ kind: z.literal('address'), to: Endpoint, port: Port }),
      ]),
      timeoutSeconds: Timeout,
    }),
    z.strictObject({
      kind: z.literal('traffic-manager'),
      ...azurePlace,
      profile: Text,
      endpoint: Text,
      change: z.discriminatedUnion('kind', [
        z.strictObject({ kind: z.literal('status'), status: z.enum(['enabled', 'disabled']) }),
        z.strictObject({ kind: z.literal('weight'), weight: Traffic }),
        z.strictObject({ kind: z.literal('priority'), priority: Traffic }),
        z.strictObject({ kind: z.literal('target'), to: Endpoint }),
      ]),
      timeoutSeconds: Timeout,
    }),
    z.strictObject({
      kind: z.literal('azure-load-balancer'),
      ...azurePlace,
      loadBalancer: Text,
      pool: Text.describe('A back-end pool of it'),
      membership: z.enum(['in', 'out']).describe('Whether it is in the pool afterwards'),
      member: z.discriminatedUnion('kind', [
        z
          .strictObject({ kind: z.literal('adapter'), machine: MachineOrNone })
          .describe('The first network adapter of a machine that runs at the site'),
        z.strictObject({
          kind: z.literal('entry'),
          name: Text.describe('Of the entry in the pool'),
          address: Endpoint,
          network: Text.describe('Resource id of the virtual network that the address is of'),
        }),
      ]),
      timeoutSeconds: Timeout,
    }),
    z.strictObject({
      kind: z.literal('azure-dns'),
      ...azurePlace,
      zone: Text,
      zoneKind: z.enum(['public', 'private']),
      recordName: Text.describe('Fully qualified, within the zone'),
      recordType: z.enum(['A', 'AAAA', 'CNAME']),
      ttlSeconds: z
        .number()
        .int()
        .nonnegative()
        .max(2 ** 31 - 1),
      values: z.array(Endpoint).max(20).describe('All that the record has afterwards'),
      timeoutSeconds: Timeout,
    }),
    z.strictObject({
      kind: z.literal('azure-run-command'),
      machine: MachineOrNone,
      script: LongText.describe(
        'Bash on Linux, PowerShell on Windows; parameters of the plan are not put into it',
      ),
      variables: Words.describe(
        'Variables of the environment on Linux, parameters of the script on Windows; they may name parameters of the plan',
      ),
      timeoutSeconds: Timeout,
    }),
  ])
  .meta({ id: 'StepAction' }) satisfies z.ZodType<DomainAction>

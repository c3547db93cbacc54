// What steps of plans change in Azure, as Azure keeps it: endpoints of Traffic Manager, records of DNS, pools of load balancers, scripts in
// machines. All of them are parts of a resource, with paths of their own.
import { sameId } from '../resource-id.ts'
import {
  ArmError,
  answerOf,
  checkConditions,
  type DoubleAnswer,
  type DoubleSite,
  type Fault,
  type Json,
  type KindRules,
  key,
  newEtag,
  type Resource,
  type Work,
} from './double-parts.ts'

// Written as the published types have it.
export const PROFILE = 'Microsoft.Network/trafficmanagerprofiles'
export const ZONE = 'Microsoft.Network/dnsZones'
export const PRIVATE_ZONE = 'Microsoft.Network/privateDnsZones'
export const BALANCER = 'Microsoft.Network/loadBalancers'
const MACHINE = 'Microsoft.Compute/virtualMachines'

type PartCall = {
  readonly method: string
  readonly url: URL
  readonly version: string
  readonly body: Json | null
  readonly headers: Readonly<Record<string, string>>
  readonly fault: Fault | null
  readonly parent: Resource
  readonly kind: string
  /** What comes after the kind. */
  readonly path: readonly string[]
}

type PartTools = {
  judge(direction: 'request' | 'answer', type: string, version: string, body: unknown): readonly string[]
  /** A work that takes its time; what the answer says of it. */
  take(
    fault: Fault | null,
    url: URL,
    type: string,
    work: Pick<Work, 'finish' | 'result'> & { fail(): void },
  ): Record<string, string>
  page(url: URL, items: readonly unknown[]): DoubleAnswer
}

type Part = PartCall & { readonly name: string; readonly type: string; readonly tools: PartTools }
type PartRules = {
  readonly parent: string
  /** As the published types write them. */
  readonly kinds: readonly string[]
  answer(site: DoubleSite, part: Part): DoubleAnswer
}

const RECORDS = ['A', 'AAAA', 'CNAME']
const parts: readonly PartRules[] = [
  {
    parent: PROFILE,
    kinds: ['AzureEndpoints', 'ExternalEndpoints', 'NestedEndpoints'],
    answer: aboutEndpoint,
  },
  { parent: ZONE, kinds: RECORDS, answer: aboutRecord },
  { parent: PRIVATE_ZONE, kinds: RECORDS, answer: aboutRecord },
  { parent: BALANCER, kinds: ['backendAddressPools'], answer: aboutPool },
  { parent: MACHINE, kinds: ['runCommands'], answer: aboutScript },
]

const rulesOf = (parent: string, kind: string) =>
  parts.find((one) => key(one.parent) === key(parent) && one.kinds.some((known) => key(known) === key(kind)))

export const isPartOf = (parent: string, kind: string): boolean => rulesOf(parent, kind) !== undefined

export function answerAboutPart(site: DoubleSite, call: PartCall, tools: PartTools): DoubleAnswer {
  const { parent, kind, path } = call
  const rules = rulesOf(parent.type, kind)
  const [name = '', ...more] = path
  const known = rules?.kinds.find((one) => key(one) === key(kind))
  if (rules === undefined || known === undefined || more.length > 0)
    throw new ArmError(404, 'InvalidResourceType', `${parent.type}/${kind} is not known here.`)
  return rules.answer(site, { ...call, name, type: `${rules.parent}/${known}`, tools })
}

const notAllowed = ({ method }: PartCall): ArmError =>
  new ArmError(405, 'MethodNotAllowed', `${method} is not allowed here.`)
const notFound = ({ name }: Part): ArmError => new ArmError(404, 'NotFound', `${name} does not exist.`)
const bad = (message: string): ArmError => new ArmError(400, 'BadRequest', message)

function refuseWrong({ tools, type, version, body }: Part): void {
  const complaints = tools.judge('request', type, version, body ?? {})
  if (complaints.length > 0) throw new ArmError(400, 'InvalidRequestContent', complaints.join('; '))
}

function shown({ tools, type, version }: Part, document: Json): Json {
  const whole = JSON.parse(JSON.stringify(document)) as Json
  tools.judge('answer', type, version, whole)
  return whole
}

// --- Traffic Manager

function aboutEndpoint(_site: DoubleSite, part: Part): DoubleAnswer {
  const { method, parent, name, type, body } = part
  const endpoints: readonly Json[] = parent.properties.endpoints ?? []
  const found = endpoints.find((one) => key(one.name) === key(name) && key(one.type) === key(type))
  if (found === undefined) throw notFound(part)
  if (method === 'PATCH') {
    refuseWrong(part)
    const wanted = { ...found.properties, ...body?.properties }
    checkTraffic(parent, found, wanted)
    if (body?.properties.endpointStatus !== undefined)
      wanted.endpointMonitorStatus = wanted.endpointStatus === 'Enabled' ? 'CheckingEndpoint' : 'Disabled'
    found.properties = wanted
  } else if (method !== 'GET') throw notAllowed(part)
  return answerOf(200, shown(part, { ...found, type }))
}

function checkTraffic(profile: Resource, endpoint: Json, { weight, priority }: Json): void {
  for (const [what, figure] of Object.entries({ weight, priority }))
    if (figure !== undefined && (figure < 1 || figure > 1000))
      throw bad(`The ${what} of an endpoint must be between 1 and 1000.`)
  const others: readonly Json[] = profile.properties.endpoints.filter((one: Json) => one !== endpoint)
  if (
    profile.properties.trafficRoutingMethod === 'Priority' &&
    others.some((one) => one.properties.priority === priority)
  )
    throw bad(`Two endpoints of the profile ${profile.name} cannot have the same priority ${priority}.`)
}

// --- DNS

function aboutRecord(site: DoubleSite, part: Part): DoubleAnswer {
  const { method, parent, name, type, headers, body } = part
  const id = `${parent.id}/${type.split('/').at(-1)}/${name}`
  const found = site.find(id)
  if (method === 'GET') {
    if (found === undefined) throw notFound(part)
    return answerOf(200, shown(part, recordDocument(found)))
  }
  if (method !== 'PUT') throw notAllowed(part)
  refuseWrong(part)
  checkConditions(headers, found)
  refuseBesideName(site, part)
  const fqdn = `${name === '@' ? '' : `${name}.`}${parent.name}.`
  const record: Resource = {
    id,
    name,
    type,
    location: 'global',
    tags: {},
    etag: newEtag(),
    properties: { ...body?.properties, fqdn },
  }
  site.resources.set(key(id), record)
  return answerOf(found === undefined ? 201 : 200, shown(part, recordDocument(record)))
}

const recordDocument = ({ id, name, type, etag, properties }: Resource): Json => ({
  id,
  name,
  type,
  etag,
  properties,
})

/** RFC 1034, section 3.6.2: beside a CNAME nothing else has its name. */
function refuseBesideName(site: DoubleSite, { parent, name, type }: Part): void {
  const own = type.split('/').at(-1)
  const others = RECORDS.filter((kind) => (own === 'CNAME' ? kind !== 'CNAME' : kind === 'CNAME'))
  const other = others.find((kind) => site.find(`${parent.id}/${kind}/${name}`) !== undefined)
  if (other !== undefined)
    throw bad(
      `The record could not be created because a ${other} record with the same name already exists in this zone.`,
    )
}

// --- load balancers

export function findPool(site: DoubleSite, id: string): Json | undefined {
  const balancer = site.find(id.split('/').slice(0, -2).join('/'))
  const pools: readonly Json[] = balancer?.properties.backendAddressPools ?? []
  return pools.find((pool) => sameId(pool.id, id))
}

function aboutPool(site: DoubleSite, part: Part): DoubleAnswer {
  const { method, parent, name, type, url, fault, headers, body } = part
  const pools: Json[] = parent.properties.backendAddressPools ?? []
  const found = pools.find((pool) => key(pool.name) === key(name))
  if (found === undefined) throw notFound(part)
  const document = () => shown(part, withMembers(site, { ...found, type }))
  if (method === 'GET') return answerOf(200, document())
  if (method !== 'PUT') throw notAllowed(part)
  refuseWrong(part)
  checkConditions(headers, { etag: found.etag })
  const entries: readonly Json[] = body?.properties?.loadBalancerBackendAddresses ?? []
  if (entries.length > 0 && adaptersIn(site, found.id).length > 0)
    throw bad(`The backend pool ${name} contains network interfaces; IP addresses cannot be added to it.`)
  const before = found.properties
  found.properties = { ...before, loadBalancerBackendAddresses: entries, provisioningState: 'Updating' }
  found.etag = newEtag()
  const work = part.tools.take(fault, url, type, {
    async finish() {
      found.properties.provisioningState = 'Succeeded'
    },
    fail() {
      found.properties = { ...before, provisioningState: 'Failed' }
    },
    result: document,
  })
  return answerOf(200, document(), work)
}

const adaptersIn = (site: DoubleSite, poolId: string): readonly Json[] =>
  [...site.resources.values()]
    .flatMap(({ properties }) => (properties.ipConfigurations ?? []) as Json[])
    .filter(({ properties }) =>
      (properties?.loadBalancerBackendAddressPools ?? []).some(({ id }: Json) => sameId(id, poolId)),
    )

/** Azure shows adapters as entries as well. */
function withMembers(site: DoubleSite, pool: Json): Json {
  const members = adaptersIn(site, pool.id)
  if (members.length === 0) return pool
  return {
    ...pool,
    properties: {
      ...pool.properties,
      backendIPConfigurations: members.map(({ id }) => ({ id })),
      loadBalancerBackendAddresses: members.map(({ id }, index) => ({
        name: `member-${index}`,
        properties: { networkInterfaceIPConfiguration: { id } },
      })),
    },
  }
}

// --- scripts in machines

function aboutScript(site: DoubleSite, part: Part): DoubleAnswer {
  const { method, parent, name, type, url, fault, tools } = part
  if (name === '') {
    const prefix = `${key(parent.id)}/runcommands/`
    const own = [...site.resources.values()].filter(({ id }) => key(id).startsWith(prefix))
    return tools.page(
      url,
      own.map((command) => shown(part, scriptDocument(command, false))),
    )
  }
  const found = site.find(`${parent.id}/runCommands/${name}`)
  if (method === 'PUT') return putScript(site, part, found)
  if (method === 'DELETE') {
    if (found === undefined) return answerOf(204, undefined)
    const work = tools.take(fault, url, type, {
      async finish() {
        found.script?.ending.abort()
        if (site.find(found.id) === found) site.resources.delete(key(found.id))
      },
      fail() {},
      result: () => undefined,
    })
    return answerOf(202, undefined, work)
  }
  if (found === undefined) throw notFound(part)
  if (method !== 'GET') throw notAllowed(part)
  const isWhole = key(url.searchParams.get('$expand') ?? '') === 'instanceview'
  return answerOf(200, shown(part, scriptDocument(found, isWhole)))
}

/** The values of protected parameters are never shown. */
const scriptDocument = (
  { id, name, type, location, tags, properties }: Resource,
  isWhole: boolean,
): Json => ({
  id,
  name,
  type,
  location,
  tags,
  properties: { ...properties, ...(isWhole ? {} : { instanceView: undefined }) },
})

function putScript(site: DoubleSite, part: Part, before: Resource | undefined): DoubleAnswer {
  const { parent, name, type, url, fault, body, tools } = part
  refuseWrong(part)
  // Only the agent in a guest can do it. What has no guest's agent must not say that it was done.
  if (site.runner?.runScript === undefined)
    throw new ArmError(409, 'NotEmulated', 'The emulated Azure runs no commands in guests.')
  if (parent.power !== 'running')
    throw new ArmError(
      409,
      'OperationNotAllowed',
      'Cannot modify extensions in the VM when the VM is not running.',
    )
  const { protectedParameters = [], ...properties } = body?.properties ?? {}
  const ending = new AbortController()
  const variables = Object.fromEntries(protectedParameters.map(({ name: key, value }: Json) => [key, value]))
  const command: Resource = {
    id: `${parent.id}/runCommands/${name}`,
    name,
    type,
    location: body?.location,
    tags: { ...body?.tags },
    properties: { ...properties, provisioningState: 'Creating', instanceView: { executionState: 'Pending' } },
    script: { variables, ending },
  }
  site.resources.set(key(command.id), command)
  const document = () => shown(part, scriptDocument(command, false))
  const work = tools.take(fault, url, type, {
    async finish() {
      command.properties.provisioningState = 'Succeeded'
      startScript(site, parent.name, command)
    },
    fail() {
      command.properties.provisioningState = 'Failed'
    },
    result: document,
  })
  return answerOf(before === undefined ? 201 : 200, document(), work)
}

function startScript({ runner }: DoubleSite, machine: string, { properties, script }: Resource): void {
  const show = (view: Json): void => {
    properties.instanceView = view
  }
  if (script === undefined || runner?.runScript === undefined) return
  show({ executionState: 'Running' })
  const { variables, ending } = script
  runner.runScript(machine, { text: properties.source.script, variables }, ending.signal).then(
    (result) =>
      show(
        'timedOut' in result
          ? { executionState: 'TimedOut', output: result.output, exitCode: -1 }
          : { executionState: result.exitCode === 0 ? 'Succeeded' : 'Failed', ...result },
      ),
    (error: unknown) => show({ executionState: 'Failed', executionMessage: String(error) }),
  )
}

// --- what they are parts of, which are there and are not changed

const standing = (type: string, stateless: boolean): KindRules => ({
  type,
  ...(stateless ? { stateless } : {}),
  put(_site, resource) {
    for (const pool of resource.properties.backendAddressPools ?? []) {
      pool.id = `${resource.id}/backendAddressPools/${pool.name}`
      pool.etag = newEtag()
      pool.properties = {
        loadBalancerBackendAddresses: [],
        ...pool.properties,
        provisioningState: 'Succeeded',
      }
    }
    for (const endpoint of resource.properties.endpoints ?? [])
      endpoint.id = `${resource.id}/${endpoint.type.split('/').at(-1)}/${endpoint.name}`
    return async () => {}
  },
  checkRemoval() {},
})

export const serviceRules: readonly KindRules[] = [
  standing(PROFILE, true),
  standing(ZONE, true),
  standing(PRIVATE_ZONE, false),
  standing(BALANCER, false),
]

// A stand-in for the part of Azure Resource Manager that replicas need. It keeps what is made, holds every request and every answer
// against Microsoft's published types, takes its time as Azure does, and fails on command. What it says proves nothing about Azure.
import { randomUUID } from 'node:crypto'
import {
  checkQuota,
  computeRules,
  DISK,
  instanceView,
  MACHINE,
  skus,
  startMachine,
  stopMachine,
  usages,
} from './compute-rules.ts'
import {
  ArmError,
  answerOf,
  checkConditions,
  type DiskContent,
  type DoubleAnswer,
  type DoubleRequest,
  type DoubleSite,
  type Fault,
  type Json,
  type KindRules,
  key,
  LineBroken,
  type MachineRunner,
  newEtag,
  type Resource,
  type Work,
} from './double-parts.ts'
import { isAddressFree, NIC, networkRules, withUse } from './network-rules.ts'
import { complaintsAbout, complaintsAboutInput, complaintsAboutOutput } from './published-types.ts'
import { answerAboutPart, isPartOf, serviceRules } from './service-rules.ts'
import { addressOfPages, answerAboutPages, isAboutPages } from './snapshot-pages.ts'
import { endReading, openReading, SNAPSHOT, snapshotRules } from './snapshot-rules.ts'

export type DoubleOptions = {
  readonly subscriptionId: string
  readonly resourceGroup: string
  readonly region: string
  /** Opens the blob that a disk shall be made of; throws ArmError when it is no fixed VHD. What it returns is the disk's own. */
  openBlob(address: string): Promise<DiskContent>
  /** Room for the content of a disk, of zeros. */
  room(bytes: number): Promise<DiskContent>
  readonly runner?: MachineRunner
  /** After so many further requests a work has ended. */
  readonly workRequests?: number
  /** Processors in the region. */
  readonly quota?: number
  /** So many ranges of a snapshot are told at a time. Few, so that whoever forgets to go on is found out; each time all are compared. */
  readonly listRanges?: number
}

export type DoubleCall = { readonly method: string; readonly path: string; readonly body: Json | null }

export type ArmDouble = {
  /** Throws LineBroken when no answer comes. */
  handle(request: DoubleRequest): Promise<DoubleAnswer>
  /** Where its own links point to; the server sets it. */
  address: string
  readonly site: DoubleSite
  /** What in a request or an answer contradicts the published types. Must stay empty. */
  readonly violations: readonly string[]
  /** What nothing is published about, so that it was not judged. */
  readonly unjudged: ReadonlySet<string>
  readonly calls: readonly string[]
  /** Asked at every request. */
  fault: (call: DoubleCall) => Fault | null
  quota: number
  /** Where the storage accounts are; null: whoever signs in may not look. */
  storageRegion: string | null
  /** False: there is no such account. */
  storageIsThere: boolean
  /** What whoever signs in may do. */
  permissions: Record<'group' | 'elsewhere' | 'subscription', readonly Json[]>
  /** Puts something there that nobody asked for, as an operator does in the portal. Whole, in ARM's form. */
  place(
    resource: Pick<Resource, 'type' | 'name'> & Partial<Resource>,
    resourceGroup?: string,
  ): Promise<Resource>
  ofType(type: string): readonly Resource[]
}

const rules: readonly KindRules[] = [...computeRules, snapshotRules, ...networkRules, ...serviceRules]
const PAGE_ITEMS = 3
const LIST_RANGES = 20
/** Of what is over; a cloud that runs for weeks keeps no more. */
const MOST_REMEMBERED = 1000

export function armDouble(options: DoubleOptions): ArmDouble {
  const resources = new Map<string, Resource>()
  const works = new Map<string, Work>()
  const violations: string[] = []
  const unjudged = new Set<string>()
  const calls: string[] = []
  let requests = 0
  const underWay = new Set<Work>()
  const site: DoubleSite = {
    region: options.region,
    subscriptionId: options.subscriptionId,
    resources,
    runner: options.runner ?? null,
    openBlob: options.openBlob,
    room: options.room,
    listRanges: options.listRanges ?? LIST_RANGES,
    now: () => new Date(requests * 1000).toISOString(),
    find: (id) => (id === undefined ? undefined : resources.get(key(id))),
  }
  const double: ArmDouble = {
    handle,
    address: 'https://arm.double',
    site,
    violations,
    unjudged,
    calls,
    fault: () => null,
    quota: options.quota ?? 100,
    storageRegion: options.region,
    storageIsThere: true,
    permissions: {
      group: [{ actions: ['*'], notActions: [] }],
      elsewhere: [{ actions: ['*'], notActions: [] }],
      subscription: [{ actions: ['*'], notActions: [] }],
    },
    place,
    ofType: (type) => [...resources.values()].filter((resource) => resource.type === type),
  }
  const partTools = {
    judge: (direction: 'request' | 'answer', type: string, version: string, body: unknown) =>
      judged(complaintsAbout({ type, version, direction }, body), {
        what: `${direction} ${type}@${version}`,
      }),
    take: (fault: Fault | null, url: URL, type: string, work: Parameters<typeof begin>[1]) =>
      links(begin(fault, work), url, type),
    page,
  }
  return double

  async function handle(request: DoubleRequest): Promise<DoubleAnswer> {
    const url = new URL(request.url, double.address)
    const path = decodeURIComponent(url.pathname)
    requests += 1
    calls.push(`${request.method} ${path.split('/providers/').at(-1) ?? path}`)
    forgetOld()
    await endWorks()
    let lose = false
    try {
      const body = request.body === '' ? null : (JSON.parse(request.body) as Json)
      const fault = double.fault({ method: request.method, path, body })
      if (fault?.kind === 'no-line') throw new LineBroken(path)
      if (fault?.kind === 'answer') throw refusalOf(fault)
      lose = fault?.kind === 'lost-answer'
      if (isAboutPages(path)) {
        const pages = await answerAboutPages(site, request, url)
        if (lose) throw new LineBroken(path)
        return pages
      }
      checkEnvelope(request, url)
      const answer = await route({ method: request.method, url, path, body, headers: request.headers, fault })
      if (lose) throw new LineBroken(path)
      return answer
    } catch (error) {
      if (lose && error instanceof ArmError) throw new LineBroken(path)
      if (!(error instanceof ArmError)) throw error
      return answerOf(error.status, { error: { code: error.code, message: error.message } }, error.headers)
    }
  }

  function forgetOld(): void {
    for (const list of [calls, violations])
      if (list.length > 2 * MOST_REMEMBERED) list.splice(0, list.length - MOST_REMEMBERED)
    if (works.size <= 2 * MOST_REMEMBERED) return
    for (const { id, state } of [...works.values()].slice(0, -MOST_REMEMBERED))
      if (state !== 'InProgress') works.delete(id)
  }

  function checkEnvelope({ headers }: DoubleRequest, url: URL): void {
    if (!/^Bearer \S+/.test(headers.authorization ?? ''))
      throw new ArmError(
        401,
        'AuthenticationFailed',
        "Authentication failed. The 'Authorization' header is missing.",
      )
    if (url.searchParams.get('api-version') === null)
      throw new ArmError(
        400,
        'MissingApiVersionParameter',
        'The api-version query parameter (?api-version=) is required for all requests.',
      )
    const [, , subscription] = url.pathname.split('/')
    if (subscription?.toLowerCase() !== options.subscriptionId.toLowerCase())
      throw new ArmError(
        404,
        'SubscriptionNotFound',
        `The subscription '${subscription}' could not be found.`,
      )
  }

  type Routed = {
    readonly method: string
    readonly url: URL
    readonly path: string
    readonly body: Json | null
    readonly headers: Readonly<Record<string, string>>
    readonly fault: Fault | null
  }

  async function route(routed: Routed): Promise<DoubleAnswer> {
    const { method, url, path } = routed
    const version = url.searchParams.get('api-version') ?? ''
    const work = /\/operations\/([0-9a-f-]+)$/.exec(path)?.[1]
    if (work !== undefined) return workAnswer(work, url)
    if (/\/providers\/Microsoft\.Compute\/skus$/i.test(path)) {
      const place =
        /^location eq '([^']*)'$/.exec(url.searchParams.get('$filter') ?? '')?.[1] ?? options.region
      return page(url, place.toLowerCase() === options.region.toLowerCase() ? skus(options.region) : [])
    }
    const region = /\/providers\/Microsoft\.Compute\/locations\/([^/]+)\/usages$/i.exec(path)?.[1]
    if (region !== undefined) {
      if (region.toLowerCase() !== options.region.toLowerCase())
        throw new ArmError(
          400,
          'NoRegisteredProviderFound',
          `No registered resource provider found for location '${region}' and API version '${version}' for type 'locations/usages'.`,
        )
      return page(url, usages(site, double.quota))
    }
    const permissions =
      /^\/subscriptions\/[^/]+(?:\/resourceGroups\/([^/]+)(?:\/providers\/.+)?)?\/providers\/Microsoft\.Authorization\/permissions$/i.exec(
        path,
      )
    if (permissions !== null) {
      const [, group] = permissions
      if (group !== undefined && !knownGroups().has(group.toLowerCase())) throw groupMissing(group)
      if (group === undefined) return page(url, double.permissions.subscription)
      const isOurs = group.toLowerCase() === options.resourceGroup.toLowerCase()
      return page(url, double.permissions[isOurs ? 'group' : 'elsewhere'])
    }
    const account = /\/providers\/Microsoft\.Storage\/storageAccounts\/([^/]+)$/i.exec(path)?.[1]
    if (account !== undefined) return storageAccount(path, account)
    const inGroup = /^\/subscriptions\/[^/]+\/resourceGroups\/([^/]+)\/providers\/([^/]+)\/(.+)$/i.exec(path)
    const everywhere = /^\/subscriptions\/[^/]+\/providers\/([^/]+)\/([^/]+)$/i.exec(path)
    if (everywhere !== null) return listAll(`${everywhere[1]}/${everywhere[2]}`, version, url, null)
    if (inGroup === null)
      throw new ArmError(404, 'InvalidResourceType', `${method} ${path} is not known here.`)
    const [, group = '', provider = '', rest = ''] = inGroup
    if (!knownGroups().has(group.toLowerCase())) throw groupMissing(group)
    const [kind = '', name, action, ...more] = rest.split('/')
    const type = `${provider}/${kind}`
    if (action !== undefined && isPartOf(type, action)) {
      const id = `/subscriptions/${options.subscriptionId}/resourceGroups/${group}/providers/${type}/${name}`
      const parent = site.find(id)
      if (parent === undefined)
        throw new ArmError(
          404,
          'ParentResourceNotFound',
          `Failed to perform 'read' on resource(s) of type '${kind}/${action}', because the parent resource '${id}' could not be found.`,
        )
      return answerAboutPart(site, { ...routed, version, parent, kind: action, path: more }, partTools)
    }
    const rule = rules.find((one) => key(one.type) === key(type))
    if (rule === undefined || more.length > 0)
      throw new ArmError(404, 'InvalidResourceType', `The resource type '${type}' is not known here.`)
    if (name === undefined) return listAll(rule.type, version, url, group)
    const id = `/subscriptions/${options.subscriptionId}/resourceGroups/${group}/providers/${rule.type}/${name}`
    const found = site.find(id)
    if (action !== undefined) return act({ ...routed, rule, version, found: existing(found, id), action })
    if (method === 'PUT') return put({ ...routed, rule, version, found, id, name })
    if (method === 'GET') return answerOf(200, shown(existing(found, id), version))
    if (method === 'PATCH') return patch(existing(found, id), routed, version)
    if (method === 'DELETE') return remove(rule, found, routed, version)
    throw new ArmError(405, 'MethodNotAllowed', `${method} is not allowed here.`)
  }

  /** Nothing is published about it here; what is asked for is where it is. */
  function storageAccount(id: string, name: string): DoubleAnswer {
    if (double.storageRegion === null)
      throw new ArmError(
        403,
        'AuthorizationFailed',
        `The client does not have authorization to perform action 'Microsoft.Storage/storageAccounts/read' over scope '${id}'.`,
      )
    if (!double.storageIsThere) existing(undefined, id)
    return answerOf(200, {
      id,
      name,
      type: 'Microsoft.Storage/storageAccounts',
      location: double.storageRegion,
    })
  }

  function knownGroups(): Set<string> {
    const groups = [...resources.values()].map(({ id }) => id.split('/')[4] ?? '')
    return new Set([options.resourceGroup, ...groups].map((group) => group.toLowerCase()))
  }

  function existing(found: Resource | undefined, id: string): Resource {
    if (found !== undefined) return found
    throw new ArmError(404, 'ResourceNotFound', `The Resource '${id.split('/providers/')[1]}' was not found.`)
  }

  type Put = Routed & {
    readonly rule: KindRules
    readonly version: string
    readonly found: Resource | undefined
    readonly id: string
    readonly name: string
  }

  async function put({ rule, version, found, id, name, ...routed }: Put): Promise<DoubleAnswer> {
    const body = routed.body ?? {}
    const complaints = judged(complaintsAbout({ type: rule.type, version, direction: 'request' }, body), {
      what: `request ${rule.type}@${version}`,
    })
    if (complaints.length > 0) throw new ArmError(400, 'InvalidRequestContent', complaints.join('; '))
    checkConditions(routed.headers, found)
    if (String(body.location).toLowerCase() !== options.region.toLowerCase())
      throw new ArmError(
        400,
        'LocationNotAvailableForResourceType',
        `The provided location '${body.location}' is not available for resource type '${rule.type}'.`,
      )
    if (found?.properties.provisioningState === 'Deleting')
      throw new ArmError(409, 'OperationNotAllowed', `The resource ${name} is being deleted.`)
    const resource = toResource(structuredClone(body), { id, name, type: rule.type })
    if (rule.type === MACHINE && found === undefined) checkQuota(site, resource, double.quota)
    const finish = rule.put(site, resource, found)
    if (rule.type === NIC) resource.etag = newEtag()
    if (found?.power !== undefined) resource.power = found.power
    resource.properties.provisioningState = found === undefined ? 'Creating' : 'Updating'
    resources.set(key(id), resource)
    const work = begin(routed.fault, {
      async finish() {
        await finish()
        resource.properties.provisioningState = 'Succeeded'
      },
      fail() {
        resource.properties.provisioningState = 'Failed'
      },
      result: () => shown(resource, version),
    })
    const status = rule.type === DISK ? 202 : found === undefined ? 201 : 200
    return answerOf(status, shown(resource, version), links(work, routed.url, rule.type))
  }

  /** What an update may change is published nowhere in the stored types; ours changes tags alone. */
  function patch(resource: Resource, { body, fault, url }: Routed, version: string): DoubleAnswer {
    const others = Object.keys(body ?? {}).filter((name) => name !== 'tags')
    if (others.length > 0)
      throw new ArmError(400, 'InvalidRequestContent', `${others} cannot be updated here.`)
    resource.tags = { ...body?.tags }
    const work = begin(fault, { async finish() {}, fail() {}, result: () => shown(resource, version) })
    return answerOf(202, shown(resource, version), links(work, url, resource.type))
  }

  function remove(
    rule: KindRules,
    found: Resource | undefined,
    { fault, url }: Routed,
    version: string,
  ): DoubleAnswer {
    if (found === undefined) return answerOf(204, undefined)
    rule.checkRemoval(site, found)
    found.properties.provisioningState = 'Deleting'
    const work = begin(fault, {
      async finish() {
        // Asked for twice, it is removed once: what has the name by now is another one.
        if (resources.get(key(found.id)) !== found) return
        await rule.removed?.(site, found)
        resources.delete(key(found.id))
      },
      fail() {
        found.properties.provisioningState = 'Failed'
      },
      result: () => undefined,
    })
    return answerOf(202, undefined, links(work, url, `${rule.type}?${version}`))
  }

  type Act = Routed & {
    readonly rule: KindRules
    readonly version: string
    readonly found: Resource
    readonly action: string
  }

  async function act({ rule, version, found, action, ...routed }: Act): Promise<DoubleAnswer> {
    const { method, url } = routed
    const wanted = `${method} ${action}`.toLowerCase()
    if (wanted === 'get checkipaddressavailability') {
      const address = url.searchParams.get('ipAddress') ?? ''
      return answerOf(200, { available: isAddressFree(site, found, address) })
    }
    if (rule.type === SNAPSHOT) return actOnSnapshot({ rule, version, found, action, ...routed })
    if (rule.type !== MACHINE)
      throw new ArmError(404, 'InvalidResourceType', `${action} is not known of ${rule.type} here.`)
    if (wanted === 'get instanceview') {
      const view = instanceView(found)
      // The view is a part of the machine's own type.
      judged(
        complaintsAbout(
          { type: MACHINE, version, direction: 'answer' },
          { ...documentOf(found), properties: { ...found.properties, instanceView: view } },
        ),
        { what: `answer ${MACHINE}/instanceView@${version}` },
      )
      return answerOf(200, view)
    }
    if (wanted === 'post retrievebootdiagnosticsdata') {
      const bitmap = found.power === 'running' ? await site.runner?.screen?.(found.name) : null
      const body =
        bitmap === null || bitmap === undefined
          ? {}
          : { consoleScreenshotBlobUri: `data:image/bmp;base64,${bitmap.toString('base64')}` }
      const about = { provider: 'Microsoft.Compute', version, name: 'retrieveBootDiagnosticsData' }
      judged(complaintsAboutOutput(about, body), { what: `answer ${MACHINE}/${action}@${version}` })
      return answerOf(200, body)
    }
    const work = powerWork(wanted, found, routed.fault)
    if (work === null) throw new ArmError(400, 'InvalidRequest', `${action} is not known of machines here.`)
    return answerOf(202, undefined, links(work, url, rule.type))
  }

  function actOnSnapshot({ rule, version, found, action, ...routed }: Act): DoubleAnswer {
    const { method, url, fault, body } = routed
    const wanted = `${method} ${action}`.toLowerCase()
    if (wanted === 'post endgetaccess') {
      const work = begin(fault, {
        finish: async () => endReading(found),
        fail() {},
        result: () => undefined,
      })
      return answerOf(202, undefined, links(work, url, rule.type))
    }
    if (wanted !== 'post begingetaccess')
      throw new ArmError(400, 'InvalidRequest', `${action} is not known of snapshots here.`)
    const about = { provider: 'Microsoft.Compute', version, name: 'beginGetAccess' }
    judged(complaintsAboutInput(about, body), { what: `request ${SNAPSHOT}/${action}@${version}` })
    const open = openReading(site, found)
    const work = begin(fault, {
      finish: async () => open(),
      fail() {},
      result() {
        const answer = { accessSAS: `${double.address}${addressOfPages(found)}` }
        judged(complaintsAboutOutput(about, answer), { what: `answer ${SNAPSHOT}/${action}@${version}` })
        return answer
      },
    })
    return answerOf(202, undefined, links(work, url, rule.type))
  }

  function powerWork(wanted: string, machine: Resource, fault: Fault | null): Work | null {
    const { provisioningState } = machine.properties
    if (provisioningState === 'Deleting' || provisioningState === 'Creating')
      throw new ArmError(
        409,
        'OperationNotAllowed',
        `Operation is not allowed on VM '${machine.name}' since it is ${provisioningState}.`,
      )
    const acts: Readonly<Record<string, () => Promise<void>>> = {
      'post start': () => startMachine(site, machine),
      'post poweroff': () => stopMachine(site, machine, 'stopped'),
      'post deallocate': () => stopMachine(site, machine, 'deallocated'),
    }
    const finish = acts[wanted]
    return finish === undefined ? null : begin(fault, { finish, fail() {}, result: () => undefined })
  }

  function listAll(type: string, version: string, url: URL, group: string | null): DoubleAnswer {
    const rule = rules.find((one) => key(one.type) === key(type))
    if (rule === undefined)
      throw new ArmError(404, 'InvalidResourceType', `The resource type '${type}' is not known here.`)
    const found = [...resources.values()].filter(
      (resource) =>
        resource.type === rule.type &&
        (group === null || resource.id.split('/')[4]?.toLowerCase() === group.toLowerCase()),
    )
    return page(
      url,
      found.map((resource) => shown(resource, version)),
    )
  }

  /** A few at a time, so that whoever forgets to go on is found out. */
  function page(url: URL, items: readonly unknown[]): DoubleAnswer {
    const start = Number(url.searchParams.get('$skiptoken') ?? 0)
    const value = items.slice(start, start + PAGE_ITEMS)
    if (start + PAGE_ITEMS >= items.length) return answerOf(200, { value })
    const next = new URL(url)
    next.searchParams.set('$skiptoken', `${start + PAGE_ITEMS}`)
    return answerOf(200, { value, nextLink: next.href })
  }

  function documentOf({ id, name, type, location, tags, zones, sku, etag, properties }: Resource): Json {
    return JSON.parse(
      JSON.stringify({ id, name, type, location, tags, zones, sku, etag, properties }),
    ) as Json
  }

  function shown(resource: Resource, version: string): Json {
    const document = documentOf(
      resource.type === 'Microsoft.Network/virtualNetworks' ? withUse(site, resource) : resource,
    )
    judged(complaintsAbout({ type: resource.type, version, direction: 'answer' }, document), {
      what: `answer ${resource.type}@${version}`,
    })
    return document
  }

  function judged(
    complaints: readonly string[] | null,
    { what }: { readonly what: string },
  ): readonly string[] {
    if (complaints === null) {
      unjudged.add(what)
      return []
    }
    violations.push(...complaints.map((complaint) => `${what}: ${complaint}`))
    return complaints
  }

  // --- works that take their time

  function begin(fault: Fault | null, work: Pick<Work, 'finish' | 'result'> & { fail(): void }): Work {
    const begun: Work = {
      ...work,
      id: randomUUID(),
      endsAt: requests + (options.workRequests ?? 1),
      begun: new Date(0).toISOString(),
      state: 'InProgress',
      error: null,
      fault,
      fail(code, message) {
        work.fail()
        begun.state = 'Failed'
        begun.error = { code, message }
      },
    }
    works.set(begun.id, begun)
    underWay.add(begun)
    return begun
  }

  async function endWorks(): Promise<void> {
    for (const work of underWay) {
      const { fault } = work
      if (work.endsAt > requests || fault?.kind === 'work-endless') continue
      underWay.delete(work)
      if (fault?.kind === 'work-fails') {
        work.fail(fault.code, fault.message)
        continue
      }
      try {
        await work.finish()
        work.state = 'Succeeded'
      } catch (error) {
        // A storage without an answer or a full disk is trouble of this work alone, not of whoever asks for something just now.
        const code = error instanceof ArmError ? error.code : 'InternalExecutionError'
        work.fail(code, error instanceof Error ? error.message : String(error))
      }
    }
  }

  function links(work: Work, url: URL, type: string): Record<string, string> {
    const provider = type.split('/')[0] ?? ''
    const version = url.searchParams.get('api-version') ?? ''
    const address = `${double.address}/subscriptions/${options.subscriptionId}/providers/${provider}/locations/${options.region}/operations/${work.id}?api-version=${version}`
    return { 'azure-asyncoperation': address, location: `${address}&monitor=true`, 'retry-after': '0' }
  }

  function workAnswer(id: string, url: URL): DoubleAnswer {
    const work = works.get(id)
    if (work === undefined) throw new ArmError(404, 'NotFound', 'The operation is not known.')
    const { state, error, begun } = work
    if (url.searchParams.get('monitor') === 'true')
      return state === 'InProgress'
        ? answerOf(202, undefined, { location: url.href, 'retry-after': '0' })
        : answerOf(200, work.result())
    return answerOf(200, { name: id, status: state, startTime: begun, ...(error === null ? {} : { error }) })
  }

  async function place(
    resource: Pick<Resource, 'type' | 'name'> & Partial<Resource>,
    resourceGroup = options.resourceGroup,
  ): Promise<Resource> {
    const rule = rules.find(({ type }) => type === resource.type)
    if (rule === undefined) throw new Error(`the double knows no ${resource.type}`)
    const { type, name } = resource
    const id = `/subscriptions/${options.subscriptionId}/resourceGroups/${resourceGroup}/providers/${type}/${name}`
    const placed: Resource = { location: options.region, tags: {}, properties: {}, ...resource, id }
    const finish = rule.put(site, placed, undefined)
    resources.set(key(id), placed)
    if (rule.stateless === undefined) placed.properties.provisioningState = 'Succeeded'
    if (type === NIC) placed.etag = newEtag()
    if (placed.content === undefined) await finish()
    else placed.properties.diskSizeBytes = placed.content.bytes
    return placed
  }
}

function toResource(body: Json, named: Pick<Resource, 'id' | 'name' | 'type'>): Resource {
  const { location, tags = {}, zones, sku, properties = {} } = body
  return {
    ...named,
    location,
    tags,
    ...(zones === undefined ? {} : { zones }),
    ...(sku === undefined ? {} : { sku }),
    properties,
  }
}

const groupMissing = (group: string): ArmError =>
  new ArmError(404, 'ResourceGroupNotFound', `Resource group '${group}' could not be found.`)

function refusalOf(fault: Extract<Fault, { kind: 'answer' }>): ArmError {
  const headers: Record<string, string> =
    fault.retryAfterSeconds === undefined ? {} : { 'retry-after': `${fault.retryAfterSeconds}` }
  return new ArmError(fault.status, fault.code, fault.message, headers)
}

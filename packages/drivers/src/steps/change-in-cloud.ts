// A change in a cloud that sends users somewhere else. The cloud reads it back, so it may be repeated: until its deadline it is, as long
// as the cloud is only busy or away.
import net from 'node:net'
import { Outage } from '@understudy/base/errors'
import type { Clock } from '@understudy/base/instant'
import {
  type AzureChangeAction,
  type AzureDnsAction,
  type AzureLoadBalancerAction,
  type Endpoint,
  isAzureName,
  type TrafficManagerAction,
} from '@understudy/domain/recovery-plans/step-action'
import type { CloudServices } from '@understudy/engine/ports/cloud-services'
import type { StepOutcome, StepWork } from '@understudy/engine/ports/step-runner'
import { limitTo, waitFor } from './bounded-wait.ts'
import { placesOf } from './endpoints.ts'
import { notInTime, stepFailed } from './step-failures.ts'

type Means = { readonly clock: Clock; readonly report: (line: string) => void; readonly signal: AbortSignal }
type Places = Pick<StepWork, 'addressOf' | 'cloudOf' | 'cloudMachineOf' | 'deadline'>

const AGAIN_MILLISECONDS = 2000

export async function changeInCloud(
  action: AzureChangeAction,
  work: Places,
  { clock, report, signal }: Means,
): Promise<StepOutcome> {
  const change = toChange(action, servicesOf(action, work), work)
  const limit = limitTo(work.deadline - clock.now(), signal)
  let last = 'Azure gave no answer'
  try {
    for (;;) {
      try {
        report('asks Azure')
        return { note: await change(limit.signal), output: null }
      } catch (error) {
        signal.throwIfAborted()
        if (limit.isUp()) throw notInTime(action.timeoutSeconds, last)
        if (!(error instanceof Outage)) throw error
        last = error.message
        report(last)
        await waitFor(pauseAfter(error), limit.signal)
      }
    }
  } finally {
    limit.end()
  }
}

/** As long as the cloud asks for, where it does. */
const pauseAfter = ({ facts }: Outage): number =>
  Math.max(AGAIN_MILLISECONDS, Number(facts.retryAfterSeconds ?? 0) * 1000)

function servicesOf({ site }: AzureChangeAction, { cloudOf }: Places): CloudServices {
  const services = site === null ? null : cloudOf(site)
  if (services !== null) return services
  throw stepFailed(
    'no-cloud',
    'The site that the step signs in with has no sign-in to a subscription of Azure',
    'Choose a site in Azure, and fill in "Run machines there" in its settings.',
  )
}

type Change = (signal: AbortSignal) => Promise<string>

function toChange(action: AzureChangeAction, services: CloudServices, work: Places): Change {
  switch (action.kind) {
    case 'traffic-manager':
      return toTraffic(action, services, work)
    case 'azure-load-balancer':
      return toPool(action, services, work)
    case 'azure-dns':
      return toRecords(action, services, work)
  }
}

function toTraffic(action: TrafficManagerAction, services: CloudServices, work: Places): Change {
  const { change } = action
  const wanted = {
    ...placeOf(action),
    profile: nameOf(action.profile),
    endpoint: nameOf(action.endpoint),
    change:
      change.kind === 'target' ? { kind: change.kind, addresses: addressesOf(change.to, work) } : change,
  }
  return (signal) => services.changeTraffic(wanted, signal)
}

function toPool(action: AzureLoadBalancerAction, services: CloudServices, work: Places): Change {
  const { membership, member } = action
  const wanted = {
    ...placeOf(action),
    loadBalancer: nameOf(action.loadBalancer),
    pool: nameOf(action.pool),
    membership,
    member:
      member.kind === 'adapter' ? toAdapter(action, member.machine, work) : toEntry(member, membership, work),
  }
  return (signal) => services.changePool(wanted, signal)
}

type Member = AzureLoadBalancerAction['member']

function toAdapter(
  { site }: AzureLoadBalancerAction,
  machine: Extract<Member, { kind: 'adapter' }>['machine'],
  { cloudMachineOf }: Places,
) {
  const place = machine === null ? null : cloudMachineOf(machine)
  if (place !== null && place.site === site) return { kind: 'adapter', machine: place.ref } as const
  throw stepFailed(
    'not-in-cloud',
    'The machine does not run at the Azure site that the step signs in with',
    'Let the step run in the direction in which the machine comes up there, or choose another site.',
  )
}

function toEntry(
  { name, address, network }: Extract<Member, { kind: 'entry' }>,
  membership: AzureLoadBalancerAction['membership'],
  work: Places,
) {
  const entry = { kind: 'entry', name: nameOf(name), network: network.trim() } as const
  if (membership === 'out') return entry
  const ip = addressesOf(address, work).find((one) => net.isIP(one) !== 0)
  if (ip !== undefined) return { ...entry, address: ip }
  throw noAddress('What is to go into the pool is no IP address', 'an IP address')
}

function toRecords(action: AzureDnsAction, services: CloudServices, work: Places): Change {
  const wanted = {
    ...placeOf(action),
    zone: nameOf(action.zone),
    zoneKind: action.zoneKind,
    name: relativeName(action.recordName, action.zone),
    type: action.recordType,
    ttlSeconds: action.ttlSeconds,
    values: [...new Set(action.values.map((value) => toRecordValue(action, value, work)))],
  }
  return (signal) => services.setRecords(wanted, signal)
}

function toRecordValue({ recordType }: AzureDnsAction, value: Endpoint, work: Places): string {
  const addresses = addressesOf(value, work)
  const fits = (address: string): boolean =>
    recordType === 'CNAME' ? isHostName(address) : net.isIP(address) === (recordType === 'A' ? 4 : 6)
  const found = addresses.find(fits)
  if (found !== undefined) return found
  const wanted = { A: 'an IPv4 address', AAAA: 'an IPv6 address', CNAME: 'a name' }[recordType]
  throw noAddress(`Nothing of what the ${recordType} record is to hold is ${wanted}`, wanted)
}

const noAddress = (message: string, wanted: string) =>
  stepFailed(
    'no-address',
    message,
    `Give ${wanted}, or see that the machine has one that is known: its page shows its addresses.`,
  )

const isHostName = (text: string): boolean =>
  net.isIP(text) === 0 && /^(?=.{1,254}$)[\w-]{1,63}(\.[\w-]{1,63})*\.?$/.test(text)

const addressesOf = (endpoint: Endpoint, work: Places): readonly string[] =>
  placesOf(endpoint, work).map(({ host }) => host)

const placeOf = ({ resourceGroup }: AzureChangeAction) => ({
  resourceGroup: resourceGroup.trim() === '' ? '' : nameOf(resourceGroup),
})

/** A parameter may have put something in that means another place. */
function nameOf(text: string): string {
  const name = text.trim()
  if (isAzureName(name)) return name
  throw stepFailed(
    'bad-azure-name',
    `Nothing in Azure can be called "${name.slice(0, 100)}"`,
    'Give the name alone, as the portal of Azure shows it; see the values of the parameters.',
  )
}

/** `www` of `www.example.com` in `example.com`; `@` is the zone itself. */
function relativeName(recordName: string, zone: string): string {
  const [name, apex] = [recordName, zone].map((text) => text.trim().toLowerCase().replace(/\.$/, '')) as [
    string,
    string,
  ]
  if (name === apex) return '@'
  const relative = name.endsWith(`.${apex}`) ? name.slice(0, -apex.length - 1) : ''
  if (/^(\*|[\w-]{1,63})(\.[\w-]{1,63})*$/.test(relative)) return relative
  throw stepFailed(
    'outside-zone',
    `"${name.slice(0, 260)}" is no name of a record in the zone "${apex}"`,
    'Give the full name of a record within the zone; see the values of the parameters.',
  )
}

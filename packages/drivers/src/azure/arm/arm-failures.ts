// What Azure Resource Manager and its sign-in say, in words an operator can act on.
import { type ErrorFacts, Outage, Refusal } from '@understudy/base/errors'
import { asMissing } from './missing-rights.ts'

export type ArmFault = {
  /** Null: no answer came, or an operation that Azure had taken on has failed. */
  readonly status: number | null
  /** Azure's own name for it, such as `SkuNotAvailable`; for a connection the system's, such as `ECONNREFUSED`. */
  readonly name: string
  readonly detail: string
  readonly retryAfterSeconds: number | null
  readonly cause: unknown
}

type Words = {
  readonly code: string
  readonly message: string
  readonly remedy: string
  readonly facts?: ErrorFacts
}

/** By Azure's name. Nothing of these gets better by asking again. */
const refused: Readonly<Record<string, (fault: ArmFault) => Words>> = {
  AuthorizationFailed: missingRight,
  LinkedAuthorizationFailed: missingRight,
  InvalidAuthenticationToken: () => notSignedIn('Azure does not accept the token of the sign-in'),
  ExpiredAuthenticationToken: () =>
    notSignedIn('The token of the sign-in has expired; the clock of this computer may be wrong'),
  SubscriptionNotFound: () => ({
    code: 'azure/subscription-missing',
    message: 'The subscription is not there, or the sign-in may not see it',
    remedy: 'Check the id of the subscription, and that the identity has a role in it.',
  }),
  ReadOnlyDisabledSubscription: () => ({
    code: 'azure/subscription-disabled',
    message: 'The subscription is disabled: nothing can be made in it',
    remedy: 'Look at the subscription in the portal: it may be unpaid, cancelled, or at its spending limit.',
  }),
  ResourceGroupNotFound: () => ({
    code: 'azure/group-missing',
    message: 'The resource group is not there',
    remedy: 'Make it again in the portal, or name another one in the settings of the site.',
  }),
  MissingSubscriptionRegistration: ({ detail }) => ({
    code: 'azure/provider-not-registered',
    message: `The subscription has not switched this service of Azure on: ${detail}`,
    remedy:
      'Register Microsoft.Compute and Microsoft.Network under "Resource providers" of the subscription.',
  }),
  QuotaExceeded: quota,
  ResourceQuotaExceeded: quota,
  PublicIPCountLimitReached: quota,
  SkuNotAvailable: ({ detail }) => ({
    code: 'azure/size-gone',
    message: `Azure does not offer this machine size here: ${detail}`,
    remedy: 'Prefer another size in the settings of the site, or ask Azure for this one in the region.',
  }),
  InvalidParameter: ({ detail }) => ({
    code: 'azure/refused',
    message: `Azure does not take this: ${detail}`,
    remedy: 'Look the parameter up in the documentation of Azure.',
  }),
  LocationNotAvailableForResourceType: regionGone,
  NoRegisteredProviderFound: regionGone,
  InvalidLocation: regionGone,
  SubnetIsFull: ({ detail }) => ({
    code: 'network/full',
    message: `The subnet has no free address: ${detail}`,
    remedy: 'Choose another network, or make this one larger.',
  }),
  PrivateIPAddressIsAllocated: ({ detail }) => ({
    code: 'network/address-taken',
    message: `The fixed address is taken: ${detail}`,
    remedy: 'Free the address, or change it in the settings of the site.',
  }),
  PrivateIPAddressNotInSubnet: addressOutside,
  PrivateIPAddressInReservedRange: addressOutside,
  InvalidResourceReference: gone,
  ResourceNotFound: gone,
  NotFound: gone,
  ParentResourceNotFound: gone,
  RequestDisallowedByPolicy: ({ detail }) => ({
    code: 'azure/forbidden-by-policy',
    message: `A policy of the organisation forbids it: ${detail}`,
    remedy: 'Ask who keeps the policies of Azure for an exemption of the resource group.',
  }),
  // Of the double alone.
  NotEmulated: ({ detail }) => ({
    code: 'azure/not-emulated',
    message: detail,
    remedy: 'Try it in a subscription of Azure, or leave the step out of what runs here.',
  }),
  ScopeLocked: ({ detail }) => ({
    code: 'azure/locked',
    message: `A lock in Azure forbids it: ${detail}`,
    remedy: 'Remove the lock from the resource or its group, then try again.',
  }),
}

/** What passes: another attempt may succeed. */
const passing: Readonly<Record<string, (fault: ArmFault) => Words>> = {
  AllocationFailed: noCapacity,
  ZonalAllocationFailed: noCapacity,
  OverconstrainedAllocationRequest: noCapacity,
  OverconstrainedZonalAllocationRequest: noCapacity,
  // Lists may lag behind: what uses it may have gone already, or has not been seen yet.
  NicInUse: inUse,
  InUseSubnetCannotBeDeleted: inUse,
  InUseNetworkSecurityGroupCannotBeDeleted: inUse,
  PublicIPAddressCannotBeDeleted: inUse,
  VMAgentStatusCommunicationError: ({ detail }) => ({
    code: 'azure/agent-silent',
    message: `Azure's agent in the guest does not report: ${detail}`,
    remedy:
      "Azure needs its agent in the guest (walinuxagent, or the Windows guest agent). Install it while the machine is still protected, and see that the guest's network reaches Azure.",
  }),
  NicReservedForAnotherVm: ({ detail }) => ({
    code: 'azure/busy',
    message: `Azure holds the network adapter for three minutes for the machine that it failed to make: ${detail}`,
    remedy: 'Nothing needs to be done: it is tried again.',
  }),
}

export function fromArm(fault: ArmFault, doing: string): Refusal | Outage {
  const { status, name, detail, cause } = fault
  const facts = { status, name, detail, doing, retryAfterSeconds: fault.retryAfterSeconds }
  const refuse = (words: Words): Refusal =>
    new Refusal({ ...words, cause, facts: { ...facts, ...words.facts } })
  const postpone = (words: Words): Outage => new Outage({ ...words, cause, facts })

  if (status === 429 || name === 'TooManyRequests' || name === 'OperationNotAllowedTooManyRequests')
    return postpone({
      code: 'azure/throttled',
      message: `Azure asks for fewer requests${waitOf(fault)} when asked to ${doing}`,
      remedy: 'It is tried again by itself. If it stays, start fewer machines at a time.',
    })
  const passes = passing[name]
  if (passes !== undefined) return postpone(passes(fault))
  if (name === 'OperationNotAllowed' && /quota|limit/i.test(detail)) return refuse(quota(fault))
  if (name === 'OperationNotAllowed' && /not running/i.test(detail)) return refuse(machineOff(fault))
  const words = refused[name]
  if (words !== undefined) return refuse(words(fault))
  if (status === 409)
    return postpone({
      code: 'azure/busy',
      message: `Something else is at work on it (${name}) when asked to ${doing}: ${detail}`,
      remedy: 'It is tried again by itself. If it stays, look at the activity log of the resource group.',
    })
  if (status === 401) return refuse(notSignedIn('Azure does not accept the sign-in'))
  if (status === 403) return refuse(missingRight(fault))
  if (status !== null && status < 500 && status !== 408)
    return refuse({
      code: 'azure/refused',
      message: `Azure refused to ${doing}: ${status} ${name}: ${detail}`,
      remedy: 'Look the name of the error up in the documentation of Azure.',
    })
  if (status !== null)
    return postpone({
      code: 'azure/trouble',
      message: `Azure has trouble (${status} ${name}) when asked to ${doing}`,
      remedy: 'Wait; if it stays, look at the health of the region in the Azure portal.',
    })
  return postpone({
    code: isConnection(name) ? 'azure/unreachable' : 'azure/operation-failed',
    message: isConnection(name)
      ? `Azure gave no answer (${name || detail}) when asked to ${doing}`
      : `Azure began to ${doing} and failed: ${detail}`,
    remedy: isConnection(name)
      ? 'Check the line, the proxy and the address of Azure.'
      : 'It is tried again. If it stays, look at the activity log of the resource group.',
  })
}

const isConnection = (name: string): boolean => /^E[A-Z_]+$|^REQUEST_SEND_ERROR$|^$/.test(name)

const waitOf = ({ retryAfterSeconds }: ArmFault): string =>
  retryAfterSeconds === null ? '' : ` for ${retryAfterSeconds} s`

/** Azure names the action and where: nobody should have to look for it. */
function missingRight({ detail }: ArmFault): Words {
  // What the identity may do comes first in some of Azure's sentences, what it may not do after it.
  const lacking = /does not have .*/s.exec(detail)?.[0] ?? detail
  const action = /Microsoft\.[A-Za-z]+\/[A-Za-z/]+\/(?:action|read|write|delete)\b/.exec(lacking)?.[0]
  const scope = /scope(?:\(s\))? '([^' ]+)'/.exec(lacking)?.[1] ?? null
  const where = scope === null ? '' : ` at ${scope}`
  return {
    facts:
      action === undefined
        ? {}
        : { missingRights: asMissing([action], scope ?? 'a place that Azure does not name') },
    code: 'azure/right-missing',
    message:
      action === undefined
        ? `The identity of the site lacks a right in Azure: ${detail}`
        : `The identity of the site may not do ${action}${where}`,
    remedy:
      action === undefined
        ? 'Give it the role that this needs.'
        : `Give the identity a role with ${action}${where}. New roles take up to ten minutes to count.`,
  }
}

function quota({ detail }: ArmFault): Words {
  return {
    code: 'azure/quota',
    message: `The subscription may not have more of this: ${detail}`,
    remedy:
      'Ask for a higher quota under "Usage + quotas" of the subscription, prefer a smaller size, or stop something in the region.',
  }
}

function machineOff({ detail }: ArmFault): Words {
  return {
    code: 'azure/machine-off',
    message: `The machine is off: ${detail}`,
    remedy: 'Start it, or let the step come after it is up.',
  }
}

function noCapacity({ detail }: ArmFault): Words {
  return {
    code: 'azure/no-capacity',
    message: `Azure has no room for this machine size just now: ${detail}`,
    remedy: 'It is tried again. Prefer another size or another zone in the settings of the site if it stays.',
  }
}

function inUse({ detail }: ArmFault): Words {
  return {
    code: 'azure/in-use',
    message: `Something still uses it: ${detail}`,
    remedy: 'It is tried again. If it stays, take it out of what uses it in the portal.',
  }
}

function regionGone({ detail }: ArmFault): Words {
  return {
    code: 'azure/region-gone',
    message: `The region of the site does not offer this to the subscription: ${detail}`,
    remedy: 'Check the name of the region in the settings of the site, or use another region.',
  }
}

function addressOutside({ detail }: ArmFault): Words {
  return {
    code: 'network/address-outside',
    message: `The fixed address is none that the subnet has to give: ${detail}`,
    remedy:
      'Change the address in the settings of the site: not the first four and not the last of the subnet.',
  }
}

function gone({ detail }: ArmFault): Words {
  return {
    code: 'azure/not-there',
    message: `Something that is needed is not there any more: ${detail}`,
    remedy: 'Look for it in the portal, or choose another one in the settings of the site.',
  }
}

function notSignedIn(message: string): Words {
  return {
    code: 'azure/sign-in-refused',
    message,
    remedy: 'Check tenant, application id and secret of the site, and the clock of this computer.',
  }
}

/** Of Entra, Azure's directory. `detail` carries its numbers, such as AADSTS7000215. */
export function fromSignIn(detail: string, cause: unknown): Refusal | Outage {
  const numbers = [...detail.matchAll(/AADSTS(\d+)/g)].map(([, number = '']) => number)
  const told: Readonly<Record<string, [string, string]>> = {
    '7000215': [
      'The secret of the application is wrong',
      'Copy the value of the secret, not its id, and save the site.',
    ],
    '7000222': [
      'The secret of the application has expired',
      'Make a new secret for the application and save the site.',
    ],
    '700016': [
      'The directory has no such application',
      'Check the application id and the tenant of the site.',
    ],
    '90002': ['There is no such tenant', 'Copy the tenant id from the overview of Microsoft Entra.'],
    '900023': ['There is no such tenant', 'Copy the tenant id from the overview of Microsoft Entra.'],
    '700027': [
      'The directory does not know the certificate with which the application signs in',
      'Upload the public part of the certificate under "Certificates & secrets" of the application, and check that it has not expired.',
    ],
    '7000112': [
      'The application is disabled in the directory',
      'Switch "Enabled for users to sign-in" on in its properties under "Enterprise applications".',
    ],
    '7000229': [
      'The application was made in another directory and has no identity in this one',
      'Check the tenant of the site, or have an administrator of this directory consent to the application.',
    ],
    '53003': [
      'A conditional access policy of the directory blocks the sign-in',
      'Ask who keeps the policies to let this application in from the address of this server, under "Workload identities".',
    ],
    '500011': [
      'The directory does not know Azure Resource Manager under this address',
      'Check the address of Azure in the settings of the site: sovereign clouds have their own.',
    ],
    '700024': [
      'The clock of this computer is wrong: the directory does not accept the time of the sign-in',
      'Set the clock and try again.',
    ],
  }
  // Some answers name the kind of error first and then what it was.
  const words = numbers.flatMap((number) => told[number] ?? [])
  if (words[0] !== undefined && words[1] !== undefined)
    return new Refusal({ code: 'azure/sign-in-refused', message: words[0], remedy: words[1], cause })
  if (numbers[0] === '90033' || numbers[0] === '50196')
    return new Outage({
      code: 'azure/trouble',
      message: `The directory has trouble with sign-ins (AADSTS${numbers[0]})`,
      remedy: 'It is tried again. If it stays, look at the health of Microsoft Entra in the Azure portal.',
      cause,
    })
  if (numbers[0] !== undefined)
    return new Refusal({ ...notSignedIn(`The directory refuses the sign-in (AADSTS${numbers[0]})`), cause })
  // Of a directory with an address of its own Microsoft's client asks for the tenant first, and hides what was answered.
  if (/openid_config|endpoints_resolution/i.test(detail))
    return new Outage({
      code: 'azure/tenant-silent',
      message:
        'The directory does not describe the tenant of the site: there is no such tenant, or nobody answers there',
      remedy:
        'Check the tenant id and the address of the directory in the settings of the site, then the line and the proxy.',
      cause,
    })
  return new Outage({
    code: 'azure/unreachable',
    message: 'No token could be had for the sign-in to Azure',
    remedy:
      'Check the line and the proxy; with a managed identity, that the server runs on a machine in Azure that has it.',
    cause,
  })
}

// --- what we find ourselves

export const endless = (what: string, minutes: number): Outage =>
  new Outage({
    code: 'azure/operation-endless',
    message: `Azure has been at work on ${what} for ${minutes} minutes without an end`,
    remedy: 'It is looked at again. If it stays, look at the activity log of the resource group.',
  })

export const foreign = (name: string): Refusal =>
  new Refusal({
    code: 'azure/name-foreign',
    message: `${name} is in the way: it is there without the tag of this run`,
    remedy: 'Find out who made it, and remove or rename it.',
  })

/** Another process has made the machine meanwhile, or cleaned the run up, and needed the copy no more; or somebody deleted it. */
export const copyGone = (name: string, cause: unknown): Outage =>
  new Outage({
    code: 'azure/copy-gone',
    message: `The blob ${name} went away while a disk was copied into it`,
    remedy:
      'The next attempt goes on with what is there. If it comes again, find out who deletes in this container.',
    cause,
  })

export const diskInTrouble = (name: string): Refusal =>
  new Refusal({
    code: 'azure/disk-in-trouble',
    message: `Disk ${name} was used by a machine, and Azure says that it has failed`,
    remedy:
      'Look at the disk in the portal. If what the machine wrote is not wanted, clean the run up and start it again.',
  })

export const runTorn = (left: number, disks: number): Refusal =>
  new Refusal({
    code: 'run/torn',
    message: `Of the ${disks} disks of this run ${left} are left, with what the guest wrote: its clean-up has begun`,
    remedy: 'Clean the run up, then start a new one.',
  })

export const placeMissing = (place: string): Outage =>
  new Outage({
    code: 'run/host-missing',
    message: `The machine of this run was begun at ${place}, which is not in the settings of the site any more`,
    remedy: 'Give the site that subscription and resource group back.',
  })

export const runNotFound = (what: string): Refusal =>
  new Refusal({
    code: 'run/not-found',
    message: `Nothing runs in Azure for ${what}`,
    remedy: 'Start it again, or clean it up.',
  })

export const machineNotFound = (ref: string): Refusal =>
  new Refusal({
    code: 'machine/not-found',
    message: `There is no machine ${ref} in Azure`,
    remedy: 'It may have been removed; refresh the inventory.',
  })

export const notWhole = (name: string, disk: string): Refusal =>
  new Refusal({
    code: 'run/not-hydrated',
    message: `Azure is still making disk ${disk} of ${name}`,
    remedy: 'Wait until its disks are complete.',
  })

export const cannotRestore = (): Refusal =>
  new Refusal({
    code: 'azure/cannot-restore-into',
    message: 'The disks of a machine that is there already cannot be written in Azure',
    remedy: 'Fail over to a new machine instead, then remove the old one.',
  })

// What Azure Storage says, and what we refuse, in words an operator can act on.
import { Outage, Refusal } from '@understudy/base/errors'

/** What of a vendor's error counts. */
export type AzureFault = {
  /** Null: no answer came. */
  readonly status: number | null
  /** Azure's own name for it, such as `ContainerNotFound`; for a connection the system's, such as `ECONNREFUSED`. */
  readonly name: string
  readonly detail: string
  readonly retryAfterSeconds: number | null
  /** Through which it was asked, as `http://host:port`. */
  readonly proxy?: string | null
  readonly cause: unknown
}

type Words = { readonly code: string; readonly message: string; readonly remedy: string }

const signInRefused: Words = {
  code: 'azure/sign-in-refused',
  message: 'Azure Storage does not accept the key or the signature',
  remedy:
    'Copy the account key or the shared access signature anew from the storage account and save the site.',
}

const containerNotFound: Words = {
  code: 'azure/container-missing',
  message: 'The container is not there',
  remedy:
    'If it was deleted, undelete it in the portal (soft delete). Only if it is lost for good, name another container and protect anew.',
}

/** By the name that Azure gives. Refusals: nothing gets better by asking again. */
const refused: Readonly<Record<string, Words>> = {
  AuthenticationFailed: signInRefused,
  AuthorizationPermissionMismatch: {
    code: 'azure/permission-missing',
    message: 'The sign-in is valid but may not do this in the container',
    remedy: 'Give it read, add, create, write, delete and list on blobs of this container.',
  },
  AuthorizationFailure: {
    code: 'azure/not-authorized',
    message: 'The storage account does not let this computer in',
    remedy:
      'Add its network to the firewall of the storage account, and give the sign-in read, write, delete and list.',
  },
  AuthorizationResourceTypeMismatch: {
    code: 'azure/permission-missing',
    message: 'The signature is not for containers and their blobs',
    remedy: 'Make it for the resource types "Container" and "Object", or for this container alone.',
  },
  AuthorizationServiceMismatch: {
    code: 'azure/permission-missing',
    message: 'The signature is not for blobs',
    remedy: 'Make it for the service "Blob", or for this container alone.',
  },
  AuthorizationSourceIPMismatch: {
    code: 'azure/not-authorized',
    message: 'The signature is not for the address of this computer',
    remedy: 'Make it for the address that Azure sees of this computer, or for any.',
  },
  ResourceNotFound: {
    code: 'azure/container-missing',
    message: 'The account or the container is not there',
    remedy: 'Check the names of the storage account and the container.',
  },
  AccountNotFound: {
    code: 'azure/account-unknown',
    message: 'There is no storage account of this name',
    remedy: 'Check the name of the storage account; in the portal it may have been deleted, or recovered.',
  },
  ContainerBeingDeleted: {
    code: 'azure/container-missing',
    message: 'The container is being deleted',
    remedy:
      'Wait until Azure has deleted it, or undelete it in the portal; for new replicas name another one.',
  },
  ContainerNotFound: containerNotFound,
  ContainerDisabled: {
    code: 'azure/container-disabled',
    message: 'The container has been disabled by its administrator',
    remedy: 'Enable it again in the storage account.',
  },
  AccountIsDisabled: {
    code: 'azure/account-disabled',
    message: 'The storage account is disabled',
    remedy:
      'Check the subscription of the storage account: Azure disables accounts of subscriptions that are unpaid or cancelled.',
  },
  BlobImmutableDueToPolicy: {
    code: 'azure/immutable',
    message: 'An immutability policy of the container forbids it',
    remedy: 'Use a container without an immutability policy: replicas are written every few seconds.',
  },
  SnapshotCountExceeded: {
    code: 'azure/premium-account',
    message: 'The account allows only a hundred snapshots of a disk',
    remedy: 'Use a standard general-purpose account (v2): premium page blobs cannot keep recovery points.',
  },
  SnapshotOperationRateExceeded: {
    code: 'azure/premium-account',
    message: 'The account allows one snapshot of a disk in ten minutes',
    remedy: 'Use a standard general-purpose account (v2): premium page blobs cannot keep recovery points.',
  },
  FeatureNotSupportedForAccount: {
    code: 'azure/wrong-account-kind',
    message: 'This kind of storage account has no page blobs',
    remedy: 'Use a standard general-purpose account (v2) without hierarchical namespace.',
  },
}
const leased: Words = {
  code: 'azure/leased',
  message: 'Somebody else has put a lease on a blob of the replica',
  remedy: 'Find out who, then break the lease in the portal. Understudy takes no leases.',
}

/** Of what asking again later may heal. */
export class AzureOutage extends Outage {
  /** How long Azure wants us to stay away; null when it does not say. */
  readonly retryAfterSeconds: number | null
  /** Whether the request may have taken effect all the same. */
  readonly isUnsure: boolean
  constructor(
    words: Words & { readonly cause: unknown },
    wait: { readonly retryAfterSeconds: number | null; readonly isUnsure: boolean },
  ) {
    super(words)
    this.retryAfterSeconds = wait.retryAfterSeconds
    this.isUnsure = wait.isUnsure
  }
}

export function fromAzure(fault: AzureFault, doing: string): Refusal | AzureOutage {
  const { status, name, detail, cause } = fault
  if (status === null) return noAnswer(fault, doing)
  if (status === 429 || status === 503 || name === 'ServerBusy')
    return new AzureOutage(
      {
        code: 'azure/throttled',
        message: 'Azure Storage asks for fewer requests',
        remedy:
          'Copying slows down by itself. If it stays, lengthen the interval or spread machines over several accounts.',
        cause,
      },
      { retryAfterSeconds: fault.retryAfterSeconds, isUnsure: false },
    )
  if (status >= 500 || status === 408)
    return new AzureOutage(
      {
        code: 'azure/trouble',
        message: `Azure Storage has trouble (${status} ${name})`,
        remedy: 'Wait; if it stays, look at the health of the region in the Azure portal.',
        cause,
      },
      { retryAfterSeconds: fault.retryAfterSeconds, isUnsure: true },
    )
  const told = /^Lease/.test(name)
    ? leased
    : (skewed(fault) ?? expired(fault) ?? unknownToEmulator(fault) ?? refused[name])
  const words = told ?? {
    code: 'azure/refused',
    message: `Azure Storage refused to ${doing}: ${status} ${name}`,
    remedy: 'Look the name of the error up in the documentation of Azure Storage.',
  }
  return new Refusal({ ...words, cause, facts: { status, name, detail, doing } })
}

function noAnswer({ name, detail, cause, proxy = null }: AzureFault, doing: string): AzureOutage {
  const neverArrived = name === 'ECONNREFUSED' || name === 'ENOTFOUND' || name === 'EAI_AGAIN'
  const wait = { retryAfterSeconds: null, isUnsure: !neverArrived }
  if (/CERT|UNABLE_TO_VERIFY/.test(name))
    return new AzureOutage(
      {
        code: 'azure/certificate-refused',
        message: `What answers for Azure Storage has a certificate that this computer does not trust (${name})`,
        remedy:
          'Check the address of the blobs. If a proxy opens the line, start Understudy with NODE_EXTRA_CA_CERTS set to the file of its certificate.',
        cause,
      },
      wait,
    )
  if (name === 'ENOTFOUND' && proxy === null)
    return new AzureOutage(
      {
        code: 'azure/account-unknown',
        message: `There is no storage account of this name, as far as this computer can see: no name server knows ${/ENOTFOUND (\S+)/.exec(detail)?.[1] ?? 'its address'}`,
        remedy:
          'Check the name of the storage account. If it is right, check the name server of this computer, and whether the account is reached through a private address only.',
        cause,
      },
      wait,
    )
  if (neverArrived && proxy !== null)
    return new AzureOutage(
      {
        code: 'azure/unreachable',
        message: `The proxy ${proxy} gave no answer (${name}) when Azure Storage was to be asked to ${doing}`,
        remedy: 'Check the address of the proxy in the site, and that it runs.',
        cause,
      },
      wait,
    )
  return new AzureOutage(
    {
      code: 'azure/unreachable',
      message: `Azure Storage gave no answer (${name || detail}) when asked to ${doing}`,
      remedy: 'Check the address of the storage account, the line and the proxy.',
      cause,
    },
    wait,
  )
}

/** A web server that is none of Azure's, or a proxy that answers in its place. */
export const notStorage = (status: number | null, doing: string, cause: unknown): Refusal =>
  new Refusal({
    code: 'azure/not-storage',
    message: `What answered${status === null ? '' : ` (${status})`} when asked to ${doing} is not Azure Storage`,
    remedy:
      'Check the address of the blobs (of most accounts it can be left empty), and whether a proxy on the way answers in its place.',
    cause,
  })

/** Azurite gives a wrong key the name that Azure has for its firewall. */
const unknownToEmulator = ({ name, detail }: AzureFault): Words | null =>
  name === 'AuthorizationFailure' && /failed to authenticate/i.test(detail) ? signInRefused : null

/** A request older than fifteen minutes is refused: our clock is wrong, not the key. */
function skewed({ name, detail }: AzureFault): Words | null {
  if (name !== 'RequestTimeTooSkewed' && !/date header|too old|clock/i.test(detail)) return null
  return {
    code: 'azure/clock-skew',
    message: 'The clock of this computer differs from that of Azure by more than a quarter of an hour',
    remedy: 'Set the clock (systemctl status systemd-timesyncd, or the clock of the host) and try again.',
  }
}

function expired({ name, detail }: AzureFault): Words | null {
  if (name !== 'AuthenticationFailed' || !/time frame|expiry|expired/i.test(detail)) return null
  return expiredWords('has expired, or is not valid yet')
}

const expiredWords = (what: string): Words => ({
  code: 'azure/signature-expired',
  message: `The shared access signature ${what}`,
  remedy: 'Make a new one for the container with a later end and save the site.',
})

export const signatureExpired = (what: string, cause: unknown): Refusal =>
  new Refusal({ ...expiredWords(what), cause })

/** What ends by itself, or its keeper can put right in the portal, or here, while replicas go on lying there unharmed. */
const mendable = [
  'azure/sign-in-refused',
  'azure/signature-expired',
  'azure/clock-skew',
  'azure/not-authorized',
  'azure/container-disabled',
  'azure/account-disabled',
  // It may end by itself: another tool takes one for a minute.
  'azure/leased',
  'azure/not-storage',
]

/**
 * A site in use that lets nobody in any more. Every machine meets that at the same moment: as a refusal it would stop them all, and each
 * would have to be compared with its source. So it is tried again on the engine's schedule, in the same words.
 */
export function whileInUse(error: unknown): unknown {
  if (!(error instanceof Refusal) || !mendable.includes(error.code)) return error
  const { code, message, remedy, facts } = error
  return new Outage({ code, message, remedy, facts, cause: error })
}

/** For whoever asks how the site is: the refusal that `whileInUse` has made an outage of. */
export const asAnswered = (error: unknown): unknown =>
  error instanceof Outage && error.cause instanceof Refusal ? error.cause : error

/**
 * The account itself has answered that it has no such container, so nothing of what lay in it is left. No other answer proves that: one that is
 * being deleted may still be read, an account that is not found may be a name that does not resolve here.
 */
export const isContainerGone = (error: unknown): boolean =>
  error instanceof Refusal &&
  error.code === containerNotFound.code &&
  error.facts.name === 'ContainerNotFound'

// --- replicas

/** The handle knows of more than the storage does. Whoever opens the replica anew sees what is there. */
export const wentBack = (machineName: string): Outage =>
  new Outage({
    code: 'replica/went-back',
    message: `The storage has forgotten or changed what it had confirmed of the replica of ${machineName}`,
    remedy:
      'Understudy opens the replica anew and goes on from what is there. If it comes again, do not trust this storage.',
  })

export const cannotEncrypt = (machineName: string): Refusal =>
  new Refusal({
    code: 'azure/cannot-encrypt',
    message: `The replica of ${machineName} cannot be encrypted with our key: Azure has to boot from what lies there`,
    remedy:
      'Switch encryption off in the policy. Azure encrypts all it stores; for a key of your own set a customer-managed key on the storage account.',
  })

export const diskTooLarge = (disk: string, bytes: number): Refusal =>
  new Refusal({
    code: 'azure/disk-too-large',
    message: `Disk ${disk} has ${bytes} bytes; a page blob holds 8 TiB`,
    remedy: 'Leave this disk out of the protection, or protect the machine to another kind of site.',
  })

export const blobGone = (disk: string): Refusal =>
  new Refusal({
    code: 'azure/blob-missing',
    message: `The page blob of disk ${disk} was deleted by somebody else`,
    remedy: 'Undelete it in the portal (soft delete), or end the protection and protect the machine anew.',
  })

export const blobReplaced = (disk: string): Refusal =>
  new Refusal({
    code: 'azure/blob-replaced',
    message: `Somebody else has put another blob in the place of the one of disk ${disk}`,
    remedy:
      'End the protection (keep the replica while its older points are wanted) and protect the machine anew. Find out who writes into this container.',
  })

/** Not ours and not to be trusted, but what was sealed is unharmed: the next cycle puts it right. */
export const blobTouched = (disk: string): Outage =>
  new Outage({
    code: 'azure/blob-touched',
    message: `Somebody else wrote to the page blob of disk ${disk} while the point was made`,
    remedy:
      'The next cycle starts from the last sealed point. If it comes again, find out who writes into this container.',
  })

export const isBlobTouched = (error: unknown): boolean =>
  error instanceof Outage && error.code === 'azure/blob-touched'

export const marksTooLong = (): Refusal =>
  new Refusal({
    code: 'recovery-point/marks-too-long',
    message: 'Notes and holders of this recovery point need more than the 2 KiB that Azure keeps beside it',
    remedy: 'Shorten the note.',
  })

export const unknownFormat = (): Refusal =>
  new Refusal({
    code: 'replica/unknown-format',
    message: 'The replica was written by a newer version, or by something else',
    remedy: 'Use at least the version that wrote it, and a container of its own.',
  })

export const damaged = (where: {
  readonly disk: string | null
  readonly offset: number
  readonly bytes: number
  readonly why: string
}): Refusal =>
  new Refusal({
    code: 'replica/damaged',
    message:
      where.disk === null
        ? `The replica is damaged: ${where.why}`
        : `The replica is damaged at ${where.offset} of disk ${where.disk} (${where.bytes} bytes): ${where.why}`,
    remedy:
      where.disk === null
        ? 'Look in the activity log of the storage account who deleted it. End the protection (keep the replica while its other points are wanted) and protect the machine anew.'
        : 'Resync the protection: it compares with the source and writes what is damaged again.',
    facts: where,
  })

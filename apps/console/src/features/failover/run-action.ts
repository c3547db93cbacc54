// Each action of the API as one call. Those that start a job answer with its id.
import type { Protection, ProtectionAction } from '@understudy/contract/protection'
import { client } from '../../api/client.ts'

export type PointChoice =
  | { readonly kind: 'latest' }
  | { readonly kind: 'latest-application-consistent' }
  | { readonly kind: 'point'; readonly id: string }

/** The newest that is not younger: for machines that start from one instant. */
export type InstantChoice = { readonly kind: 'at'; readonly instant: string }

export type ActionOptions = {
  readonly point: PointChoice
  readonly allowOpenNetworks: boolean
  readonly acceptUnfenced: boolean
  readonly powerOffOriginal: boolean
  readonly overwriteModified: boolean
  readonly keepReplica: boolean
  /** Where a first copy goes on a disk, or comes from. */
  readonly seed: { readonly folder: string; readonly passphrase: string }
  /** A slip would be found out at the other side only, days later. */
  readonly passphraseAgain: string
  /** An export: the folder may lie on a disk of the server. */
  readonly acceptServerDisk: boolean
}

export const plainOptions: ActionOptions = {
  point: { kind: 'latest' },
  allowOpenNetworks: false,
  acceptUnfenced: false,
  powerOffOriginal: false,
  overwriteModified: false,
  keepReplica: false,
  seed: { folder: '', passphrase: '' },
  passphraseAgain: '',
  acceptServerDisk: false,
}

/** `key`: the same for every attempt of one decision, so that a second click or a retry starts no second job. */
export async function runAction(
  id: Protection['id'],
  action: Exclude<ProtectionAction, 'edit'>,
  options: Omit<ActionOptions, 'point'> & { readonly point: PointChoice | InstantChoice },
  key: string,
): Promise<{ readonly jobId: string | null }> {
  const { protections } = client
  const once = { context: { idempotencyKey: key } }
  const { point } = options
  switch (action) {
    case 'test-failover':
      return protections.testFailover({ id, point, allowOpenNetworks: options.allowOpenNetworks }, once)
    case 'clean-up-test':
      return protections.cleanUpTest({ id }, once)
    case 'planned-failover':
      return protections.failover({ id, kind: 'planned' }, once)
    case 'unplanned-failover':
      return protections.failover(
        { id, kind: 'unplanned', point, acceptUnfenced: options.acceptUnfenced },
        once,
      )
    case 'change-point':
      return protections.changePoint({ id, point }, once)
    case 'start-replica':
      return protections.startReplica({ id }, once)
    case 'commit':
      return protections.commit({ id }, once)
    case 'roll-back':
      return protections.rollBack({ id }, once)
    case 'reprotect':
      return protections.reprotect({ id, powerOffOriginal: options.powerOffOriginal }, once)
    case 'fail-back':
      return protections.failBack({ id, overwriteModified: options.overwriteModified }, once)
    case 'end':
      return protections.end({ id, keepReplica: options.keepReplica }, once)
    case 'replicate-now':
      await protections.replicateNow({ id })
      return { jobId: null }
    case 'resync':
      await protections.resync({ id })
      return { jobId: null }
    case 'export-seed':
      return protections.exportSeed({ id, ...options.seed, acceptServerDisk: options.acceptServerDisk }, once)
    case 'import-seed':
      return protections.importSeed({ id, ...options.seed }, once)
    case 'give-up-seed':
      await protections.giveUpSeed({ id })
      return { jobId: null }
    case 'pause':
      await protections.pause({ id })
      return { jobId: null }
    case 'resume':
      await protections.resume({ id })
      return { jobId: null }
  }
}

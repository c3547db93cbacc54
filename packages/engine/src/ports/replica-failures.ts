// What every replica store refuses, wherever it keeps what it keeps.
import { Refusal } from '@understudy/base/errors'
import type { ReplicaId } from '@understudy/domain/protection/protection'

/** A name that is one segment of any path. */
export function checkReplicaId(id: ReplicaId): ReplicaId {
  if (!/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/.test(id)) throw badId(id)
  return id
}

export const notFound = (id: string): Refusal =>
  new Refusal({
    code: 'replica/not-found',
    message: `There is no replica ${id}`,
    remedy: 'Check that the replica store is the right one and complete.',
  })

export const pointNotFound = (id: string): Refusal =>
  new Refusal({
    code: 'recovery-point/not-found',
    message: `There is no recovery point ${id} any more`,
    remedy: 'Choose another recovery point.',
  })

export const newerWriter = (machineName: string): Refusal =>
  new Refusal({
    code: 'replica/newer-writer',
    message: `Another process writes to the replica of ${machineName} now`,
    remedy: 'Nothing needs to be done: the newer process goes on.',
  })

export const readOnly = (machineName: string): Refusal =>
  new Refusal({
    code: 'replica/read-only',
    message: `The replica of ${machineName} is open for reading only`,
    remedy: 'Open it with the epoch of its protection.',
  })

export const pointOpen = (machineName: string): Refusal =>
  new Refusal({
    code: 'replica/point-open',
    message: `A point of ${machineName} is being written already`,
    remedy: 'Wait until it is sealed or aborted.',
  })

export const baseNotNewest = (machineName: string, base: string | null): Refusal =>
  new Refusal({
    code: 'replica/base-not-newest',
    message: `Point ${base ?? '(none)'} is not the newest of the replica of ${machineName}`,
    remedy: 'Plan the cycle again.',
  })

const badId = (id: string): Refusal =>
  new Refusal({
    code: 'replica/bad-id',
    message: `"${id}" cannot be the id of a replica`,
    remedy: 'Use letters, digits, dots, dashes and underscores.',
  })

// What can be wrong with a seed, and what to do about it.
import { Outage, Refusal } from '@understudy/base/errors'

export const damaged = (where: string, cause?: unknown): Refusal =>
  new Refusal({
    code: 'seed/damaged',
    message: `The seed is damaged: ${where}`,
    remedy:
      'Copy it again from the disk it was exported to; if it is damaged there, give it up and export anew.',
    cause,
  })

export const incomplete = (folder: string): Refusal =>
  new Refusal({
    code: 'seed/incomplete',
    message: `The export into ${folder} did not come to its end, or not all of its files are here`,
    remedy: 'Go on with the export where it was begun, and bring all files of the folder.',
  })

export const wrongPassphrase = (): Refusal =>
  new Refusal({
    code: 'seed/wrong-passphrase',
    message: 'The seed cannot be opened with this passphrase',
    remedy: 'Enter the passphrase that it was exported with. Without it the seed is of no use: export anew.',
  })

export const noFolder = (folder: string): Refusal =>
  new Refusal({
    code: 'seed/no-folder',
    message: `There is no folder ${folder} on this server`,
    remedy: 'Attach and mount the disk, and give the absolute path of a folder on it.',
  })

export const noSeed = (folder: string, others: readonly string[]): Refusal =>
  new Refusal({
    code: 'seed/not-found',
    message:
      others.length === 0
        ? `There is no seed in ${folder}`
        : `The seed is not in ${folder}; others are: ${others.slice(0, 5).join(', ')}`,
    remedy: 'Give the folder that the seed was exported to, as it is mounted on this server.',
  })

export const notMounted = (folder: string): Refusal =>
  new Refusal({
    code: 'seed/not-found',
    message: `The seed that was begun is not in ${folder}`,
    remedy: 'Mount the disk with it there and go on; if the disk is lost, give the seed up and export anew.',
  })

export const serverDisk = (folder: string): Refusal =>
  new Refusal({
    code: 'seed/server-disk',
    message: `${folder} lies on a disk that the server itself lives on: most likely nothing is mounted there`,
    remedy:
      'Mount the disk that is to be carried, or accept explicitly that the seed lies on a disk of the server.',
  })

export const takenFolder = (folder: string): Refusal =>
  new Refusal({
    code: 'seed/folder-taken',
    message: `${folder} is the root of all folders, or lies where the server keeps its own files or replicas`,
    remedy: 'Give a folder of the disk that is to be carried.',
  })

export const notOurs = (home: string): Refusal =>
  new Refusal({
    code: 'seed/not-ours',
    message: `${home} is a link, no folder, or belongs to somebody else than the user of the server`,
    remedy: 'Remove it, or make the user of the server its owner if it is the seed that was begun.',
  })

export const ofAnother = (home: string, machineName: string): Refusal =>
  new Refusal({
    code: 'seed/of-another',
    message: `What lies in ${home} is a seed of ${machineName} that this export does not go on with`,
    remedy: 'Give another folder, or remove what is there if it is not needed any more.',
  })

export const diskFull = (folder: string, cause?: unknown): Refusal =>
  new Refusal({
    code: 'seed/disk-full',
    message: `${folder} is full, or would leave too little room on a disk of the server`,
    remedy: 'Make room there and go on, or give it up and export to a larger disk.',
    cause,
  })

const notUsable = (folder: string, code: string, cause: unknown): Refusal =>
  new Refusal({
    code: 'seed/no-folder',
    message: `${folder} cannot be used as the folder of a seed (${code})`,
    remedy: 'See whether it is written as it is on this server, and give a folder of the disk.',
    cause,
  })

const mistaken = new Set(['ENOTDIR', 'EEXIST', 'ELOOP', 'ENAMETOOLONG', 'EISDIR', 'EINVAL'])

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''

const fixable: Readonly<Record<string, readonly [string, string, string]>> = {
  EROFS: ['seed/read-only', 'is mounted read-only', 'Mount it so that this server may write to it.'],
  EACCES: [
    'seed/no-access',
    'may not be used by this server',
    'Give the user of the server the right to it.',
  ],
  EPERM: ['seed/no-access', 'may not be used by this server', 'Give the user of the server the right to it.'],
}

/** Turns what the file system says about the folder into words. What is none of its errors passes. */
export function toFailure(folder: string, error: unknown): unknown {
  const code = codeOf(error)
  if (error instanceof Refusal || error instanceof Outage || !/^E[A-Z]+$/.test(code)) return error
  if (code === 'ENOSPC' || code === 'EDQUOT') return diskFull(folder, error)
  if (mistaken.has(code)) return notUsable(folder, code, error)
  const known = fixable[code]
  if (known) {
    const [kind, what, remedy] = known
    return new Refusal({ code: kind, message: `${folder} ${what}`, remedy, cause: error })
  }
  return new Outage({
    code: 'seed/disk-failed',
    message: `The disk with ${folder} does not answer as it should (${code})`,
    remedy: 'See whether the disk is still attached and healthy.',
    cause: error,
  })
}

// Files of a host over the SFTP part of its ssh connection: one round trip each, and no shell that has to start first.
import type { SFTPWrapper } from 'ssh2'
import type { FilePiece, FolderEntry } from './host.ts'

export interface SshFiles {
  readFile(path: string): Promise<Buffer | null>
  createSparseFile(path: string, bytes: number, pieces: readonly FilePiece[]): Promise<void>
  removeFile(path: string): Promise<void>
  list(path: string): Promise<readonly FolderEntry[]>
  freeBytes(path: string): Promise<number>
}

const CALL_MILLISECONDS = 30_000
/** SSH_FX_NO_SUCH_FILE: draft-ietf-secsh-filexfer-02 section 7. */
const NO_SUCH_FILE = 2
/** SSH_FX_FAILURE, for every error that has no code of its own. */
const FAILURE = 4
const OWNER_ONLY = 0o600

/** `session` may be asked again after one has ended. Failures are those of ssh2; the host translates them. */
export function sshFiles(session: () => Promise<SFTPWrapper>): SshFiles {
  const createSparseFile = async (
    path: string,
    bytes: number,
    pieces: readonly FilePiece[],
  ): Promise<void> => {
    const sftp = await session()
    await removeFile(sftp, path)
    const handle = await call<Buffer>((done) => sftp.open(path, 'wx', OWNER_ONLY, done))
    try {
      await call<void>((done) => sftp.fsetstat(handle, { size: bytes }, done))
      for (const { offset, data } of pieces)
        await call<void>((done) => sftp.write(handle, data, 0, data.length, offset, done))
    } finally {
      await call<void>((done) => sftp.close(handle, done))
    }
  }
  return {
    async readFile(path) {
      try {
        return await readFile(await session(), path)
      } catch (error) {
        // A process that ends under the read of its file fails it; asked again, the file is missing.
        if (!(path.startsWith('/proc/') && isCode(error, FAILURE))) throw error
        return await readFile(await session(), path)
      }
    },
    createSparseFile,
    removeFile: async (path) => removeFile(await session(), path),
    async list(path) {
      const sftp = await session()
      const entries = await orWhenMissing(
        call<readonly Listed[]>((done) => sftp.readdir(path, done)),
        [],
      )
      return entries.map(toEntry).sort((a, b) => (a.name < b.name ? -1 : 1))
    },
    async freeBytes(path) {
      const sftp = await session()
      const system = await call<{ readonly f_bavail: number; readonly f_frsize: number }>((done) =>
        sftp.ext_openssh_statvfs(path, done),
      )
      return system.f_bavail * system.f_frsize
    },
  }
}

type Listed = { readonly filename: string; readonly attrs: { readonly mode: number } }

const KINDS: ReadonlyMap<number, FolderEntry['kind']> = new Map([
  [0o100000, 'file'],
  [0o040000, 'folder'],
  [0o140000, 'socket'],
])
const KIND_BITS = 0o170000

const toEntry = ({ filename, attrs }: Listed): FolderEntry => ({
  name: filename,
  kind: KINDS.get(attrs.mode & KIND_BITS) ?? 'other',
})

const readFile = (sftp: SFTPWrapper, path: string): Promise<Buffer | null> =>
  orWhenMissing(
    call<Buffer>((done) => sftp.readFile(path, done)),
    null,
  )

const removeFile = async (sftp: SFTPWrapper, path: string): Promise<void> => {
  await orWhenMissing(
    call<void>((done) => sftp.unlink(path, done)),
    undefined,
  )
}

/** A callback of ssh2 as a promise with a deadline. */
function call<Result>(
  start: (done: (failure: Error | null | undefined, result?: Result) => void) => void,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`no answer within ${CALL_MILLISECONDS} ms`)),
      CALL_MILLISECONDS,
    )
    start((failure, result) => {
      clearTimeout(timer)
      if (failure) reject(failure)
      else resolve(result as Result)
    })
  })
}

async function orWhenMissing<Found, Missing>(
  found: Promise<Found>,
  missing: Missing,
): Promise<Found | Missing> {
  try {
    return await found
  } catch (error) {
    if (isCode(error, NO_SUCH_FILE)) return missing
    throw error
  }
}

const isCode = (error: unknown, code: number): boolean =>
  error instanceof Error && (error as { code?: unknown }).code === code

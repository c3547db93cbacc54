// A KVM host as we use it: commands, files, processes and unix sockets, here or at the far end of an ssh connection.
import type { Duplex } from 'node:stream'

export type CommandResult = { readonly code: number; readonly stdout: string; readonly stderr: string }
export type CommandOptions = {
  readonly timeoutMilliseconds?: number
  readonly signal?: AbortSignal | undefined
  readonly input?: string
}
export type FolderEntry = { readonly name: string; readonly kind: 'file' | 'folder' | 'socket' | 'other' }
export type FilePiece = { readonly offset: number; readonly data: Buffer }
/** What tells whether a file was touched: `mtimeNanoseconds` is text because it does not fit a number. */
export type FileStatus = {
  readonly bytes: number
  readonly allocatedBytes: number
  readonly mtimeNanoseconds: string
  readonly inode: string
}

export type SocketOffer = {
  /** Only a new offer helps: the connection stayed away for too long, or somebody has removed the host's socket. */
  isLost(): Promise<boolean>
  /** When it resolves nothing of this offer works on the path any more. */
  close(): Promise<void>
}

/**
 * All paths are absolute paths on that host. Every call is bounded in time. Outage `kvm/host-unreachable` when the host
 * cannot be reached, `kvm/host-failed` when a file or command there fails for another reason.
 */
export interface Host {
  readonly name: string
  readonly machinesFolder: string
  /**
   * What it is called where runs are kept: the computer by its key, not by names that settings may change, and the folder. Behind
   * libvirt also whose machines. Where this changes, what was made there would not be found any more.
   */
  readonly place: string
  readonly isLocal: boolean
  /** Without a shell. Resolves with any exit code. The command must end by itself; a daemon detaches from its output. */
  run(command: string, args: readonly string[], options?: CommandOptions): Promise<CommandResult>
  /**
   * For a conversation: what is written is the command's input, what is read its output; its errors go nowhere. Destroying the
   * stream ends its input, at which the command must end; locally one that stays is killed a few seconds later.
   */
  spawn(command: string, args: readonly string[]): Promise<Duplex>
  /** Null: not there. */
  readFile(path: string): Promise<Buffer | null>
  /** Atomic by rename, and on the disk when it resolves. */
  writeFile(path: string, data: string | Buffer): Promise<void>
  /** A file of `bytes` bytes that occupies only what `pieces` need; an older file of that name is gone. Not flushed. */
  createSparseFile(path: string, bytes: number, pieces?: readonly FilePiece[]): Promise<void>
  /** Copies a small file. */
  copyFile(from: string, to: string): Promise<void>
  /** Repeatable: not being there is fine. */
  removeFile(path: string): Promise<void>
  /** With its parents. Repeatable. */
  makeFolder(path: string): Promise<void>
  /** With everything in it. Repeatable. */
  removeFolder(path: string): Promise<void>
  /** Empty when the folder is not there. Sorted by name. */
  list(path: string): Promise<readonly FolderEntry[]>
  status(path: string): Promise<FileStatus | null>
  /** Of the file system that holds the path. */
  freeBytes(path: string): Promise<number>
  /** Connects to a unix stream socket of the host. Outage `kvm/socket-closed` when nobody listens. */
  connect(socketPath: string, signal?: AbortSignal): Promise<Duplex>
  /** Where a guest's agent is reached otherwise than by a socket: see dead-mans-thaw.ts. */
  connectToFreeze?(agentPath: string, seconds: number): Promise<Duplex>
  /**
   * A unix socket path on this computer that leads to the host's socket: the path itself when the host is local. Close it
   * when the last connection is done.
   */
  forward(socketPath: string): Promise<{ readonly path: string; close(): Promise<void> }>
  /**
   * The other way round, only where the host is not this computer: connections to `hostPath` there lead to the socket
   * `localPath` here, also after the connection to the host was lost and came back.
   */
  offer?(
    localPath: string,
    hostPath: string,
    /** Called each time that `hostPath` is there anew, before anybody is told. */
    onListening?: () => Promise<void>,
  ): Promise<SocketOffer>
  /** Only where QEMU runs with another user than we do: makes a file, folder or socket of ours that user's. */
  handOver?(path: string): Promise<void>
  /** The command line of a live process, or null. A zombie counts as gone. */
  commandLineOf(pid: number): Promise<string | null>
  kill(pid: number, signal: 'SIGTERM' | 'SIGKILL'): Promise<void>
  close(): Promise<void>
}

// The few file operations on which durable stores are built, so that a simulated disk that crashes can stand in.
// Errors are Node's: `code` is ENOENT, EEXIST, ENOSPC and so on.

export interface FileHandle {
  /** Fills `into` from `position`. Returns how many bytes there were: fewer only at the end of the file. */
  read(into: Buffer, position: number): Promise<number>
  /** Writes the parts one after the other. Not durable before `sync`. */
  write(parts: readonly Buffer[], position: number): Promise<void>
  truncate(bytes: number): Promise<void>
  /** What was written before is on the medium afterwards. The file's name may not be: see `syncFolder`. */
  sync(): Promise<void>
  bytes(): Promise<number>
  close(): Promise<void>
}

export interface FileSystem {
  /** `create` opens a new file for reading and writing and fails with EEXIST when the name is taken. */
  open(path: string, mode: 'read' | 'create'): Promise<FileHandle>
  /** Also its parents. Repeatable. */
  makeFolder(path: string): Promise<void>
  /** Names in no order. */
  list(path: string): Promise<readonly string[]>
  /** Null when there is nothing of that name. */
  stat(path: string): Promise<{ readonly bytes: number; readonly isFolder: boolean } | null>
  /** A second name for a file. Fails with EEXIST when the name is taken: the one exclusive act of a file system. */
  link(path: string, newPath: string): Promise<void>
  rename(path: string, newPath: string): Promise<void>
  unlink(path: string): Promise<void>
  removeFolder(path: string): Promise<void>
  /** Makes the names in a folder durable: what was created, linked, renamed or unlinked in it. */
  syncFolder(path: string): Promise<void>
  freeBytes(path: string): Promise<number>
}

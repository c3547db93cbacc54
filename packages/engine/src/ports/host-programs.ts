// Programs that are run on the host of a site, beside its disks. The host keeps them by itself: whatever becomes of us or of the
// way to it, each runs once, ends in time, and how it ended is found there.

export type HostProgram = {
  /** A program of the host and its arguments, never a shell's line. */
  readonly command: string
  readonly arguments: readonly string[]
  /** All that it gets. */
  readonly environment: Readonly<Record<string, string>>
  /** Written into a file there, only for it, that UNDERSTUDY_CONTEXT_FILE names. Null: there is none. */
  readonly contextFile: string | null
  /** The host ends it then, with everything that it has started. */
  readonly limitMilliseconds: number
  /** Of both streams together, in their order: how much of the beginning and of the end is kept. */
  readonly keepBytes: { readonly head: number; readonly tail: number }
}

export type HostProgramState =
  | { readonly kind: 'running' }
  /** It was not begun there. */
  | { readonly kind: 'unknown' }
  /** It was begun, and what watched over it has gone. `pid`: it still runs, as this process; null: it does not. */
  | { readonly kind: 'lost'; readonly pid: number | null }
  | {
      readonly kind: 'ended'
      /** Null: a signal has ended it, or it never began. */
      readonly exitCode: number | null
      readonly signal: string | null
      readonly endedBy: 'itself' | 'timeout' | 'abort'
      /** Why it never began: the code of the host's error, such as ENOENT. */
      readonly notStarted: string | null
      readonly head: Buffer
      readonly tail: Buffer
      /** Of everything that was printed. */
      readonly bytes: number
    }

/** `id`: `[a-z0-9-]{1,36}`, unique for ever. Every call is an Outage while the host does not answer. */
export interface HostPrograms {
  /** Means the same computer and folder for ever. */
  readonly place: string
  /**
   * Has it run once for this id, whoever asks, however often, however many at a time; resolves when it was begun. Refusal: it
   * cannot be run there at all. An Outage says nothing about whether it was begun: ask again.
   */
  begin(id: string, program: HostProgram): Promise<void>
  state(id: string): Promise<HostProgramState>
  /** Ends it with everything that it has started: asks, and does not ask some seconds later. Resolves when it has ended. */
  end(id: string): Promise<void>
  /**
   * Removes how it ended and what it printed, once that is kept elsewhere: it is `lost` from then on. That it was begun stays known
   * for days, so that nobody who is late begins it anew. What nobody forgets stays there until a program is begun some days
   * after its end: only then anything of the host looks for it.
   */
  forget(id: string): Promise<void>
}

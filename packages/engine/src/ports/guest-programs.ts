// Programs that are run inside a guest, through its agent.

export type GuestProgram = {
  /** A program of the guest and its arguments, never a shell's line. */
  readonly command: string
  readonly arguments: readonly string[]
  /** Joins what programs of this guest need to find each other, such as PATH. */
  readonly environment: Readonly<Record<string, string>>
}

export type GuestProgramState =
  | { readonly kind: 'running' }
  /**
   * The agent knows no such program (any more): it, or its guest, was started anew. An agent tells of an end only once, so keep it
   * before anything else.
   */
  | { readonly kind: 'unknown' }
  | {
      readonly kind: 'ended'
      /** Of a program that a signal has ended: null. */
      readonly exitCode: number | null
      /** Both streams, one after the other; the beginning of each where there was too much. */
      readonly output: string
    }

/** Of one running machine. */
export interface GuestPrograms {
  /**
   * Resolves with the guest's number of it. A Refusal: it was not begun, and will not be (there is no agent, it does not let programs
   * be run, there is no such program). An Outage `guest-program/not-reached`: it was not begun, ask again. Outage
   * `guest-program/answer-lost`: it may have been begun, and nobody knows its number.
   */
  start(program: GuestProgram, signal?: AbortSignal): Promise<number>
  /** An Outage while the agent does not answer: ask again. */
  state(pid: number, signal?: AbortSignal): Promise<GuestProgramState>
  /** Has a program that runs ended, as far as its guest can. False: nobody could be told. Never throws for a silent guest. */
  end(pid: number): Promise<boolean>
}

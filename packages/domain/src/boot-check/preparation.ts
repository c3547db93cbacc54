// What somebody has had prepared in a machine, so that it starts on the hardware of its target.

export type Preparation = {
  readonly at: number
  /** What built the initial memory disks. `none`: they had all that is needed. */
  readonly tool: string
  readonly drivers: readonly string[]
  /** Paths of what was added or replaced, for a person. All of it is undone when the protection ends. */
  readonly changes: readonly string[]
}

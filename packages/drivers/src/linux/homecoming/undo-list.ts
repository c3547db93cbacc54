// What was mounted, activated or attached, to be taken back in the opposite order whatever happens.
export type UndoList = {
  /** `what`: how it is told when it could not be taken back, and by which command a person does it. */
  readonly add: (what: string, takeBack: () => Promise<unknown>) => void
  /** Gives what could not be taken back. Goes on after each. */
  readonly takeBackAll: () => Promise<readonly string[]>
}

export function openUndoList(): UndoList {
  const entries: { readonly what: string; readonly takeBack: () => Promise<unknown> }[] = []
  return {
    add: (what, takeBack) => void entries.push({ what, takeBack }),
    async takeBackAll() {
      const left: string[] = []
      for (const { what, takeBack } of entries.splice(0).toReversed())
        await takeBack().catch(() => left.push(what))
      return left
    },
  }
}

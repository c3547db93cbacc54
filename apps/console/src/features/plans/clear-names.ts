import type { Protection } from '@understudy/contract/protection'
import type { Names } from './plan-draft.ts'

type Named = Pick<Protection, 'id' | 'name' | 'direction'> & {
  readonly source: { readonly name: string }
  readonly target: { readonly name: string }
}

/** By which machines are told apart: where several have a name, the site that each was protected at stands beside it. Pure. */
export function clearNames(protections: readonly Named[] = []): Names {
  const byName = Map.groupBy(protections, ({ name }) => name)
  return new Map(
    protections.map(({ id, name, direction, source, target }) => {
      const home = direction === 'forward' ? source : target
      return [id, byName.get(name)?.length === 1 ? name : `${name} (${home.name})`]
    }),
  ) as unknown as Names
}

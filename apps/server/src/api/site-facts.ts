// What a site's platform says of itself while a page is built: an answer that does not come costs a figure, never the page.
import type { Site } from '@understudy/domain/sites/site'
import type { StoreStrain } from '@understudy/engine/ports/replica-store'
import type { ApiDeps } from './context.ts'

export type Abilities = {
  readonly canBeSource: boolean
  readonly canKeepReplicas: boolean
  readonly canBeTarget: boolean
  readonly canEncrypt: boolean
  readonly strain: StoreStrain | null
}

const noAbilities: Abilities = {
  canBeSource: false,
  canKeepReplicas: false,
  canBeTarget: false,
  canEncrypt: false,
  strain: null,
}

/** What a platform lacks is absent from its object. One that cannot even be opened can do nothing; its health says why. */
export const abilitiesOf = ({ platforms }: ApiDeps, site: Site): Promise<Abilities> =>
  platforms.of(site).then(
    ({ source, target, originals, replicas }) => ({
      canBeSource: source !== undefined,
      // Of others: what it keeps of its own, to come home, is no target for anybody.
      canKeepReplicas: replicas !== undefined && originals === undefined,
      canBeTarget: target !== undefined,
      canEncrypt: replicas?.encrypts ?? false,
      strain: replicas?.strain?.() ?? null,
    }),
    () => noAbilities,
  )

/** Bytes left for replicas; null where that is not bounded or not known now. */
export const freeBytesOf = ({ platforms }: ApiDeps, site: Site): Promise<number | null> =>
  platforms.of(site).then(
    ({ replicas }) => replicas?.freeBytes().catch(() => null) ?? null,
    () => null,
  )

import type { SeedExportInput, SeedInput } from '@understudy/contract/protection'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { SeedRequest } from '@understudy/engine/requests'
import type { z } from 'zod'
import { askerOf, callerOf } from './asker.ts'
import { type ApiDeps, os, type RequestContext } from './context.ts'
import { findProtection } from './find.ts'
import { loadProtection } from './load-protections.ts'

/** First copies that travel on disks. */
export function seedRoutes(deps: ApiDeps) {
  const requestOf = async (
    { id, ...place }: z.infer<typeof SeedInput | typeof SeedExportInput> & { readonly id: string },
    context: RequestContext,
  ): Promise<SeedRequest> => {
    const { passphrase: _, ...told } = place
    context.audit(id, told)
    await findProtection(deps, id)
    return { ...askerOf(context), protectionId: id as ProtectionId, ...place }
  }

  return {
    exportSeed: os.protections.exportSeed.handler(async ({ input, context }) =>
      deps.engine.exportSeed(await requestOf(input, context)),
    ),
    importSeed: os.protections.importSeed.handler(async ({ input, context }) =>
      deps.engine.importSeed(await requestOf(input, context)),
    ),
    giveUpSeed: os.protections.giveUpSeed.handler(async ({ input, context }) => {
      context.audit(input.id, {})
      await findProtection(deps, input.id)
      await deps.engine.giveUpSeed({ by: callerOf(context).name, protectionId: input.id as ProtectionId })
      return loadProtection(deps, await findProtection(deps, input.id))
    }),
  }
}

import { fileURLToPath } from 'node:url'
import { defineConfig } from 'prisma/config'

// The CLI looks for its native schema engine after it has read this file. Ours speaks the same protocol over the build
// that comes from the npm registry, so nothing is downloaded. Windows cannot start a script by itself: there Prisma
// fetches its own.
if (process.platform !== 'win32')
  process.env.PRISMA_SCHEMA_ENGINE_BINARY ??= fileURLToPath(new URL('./schema-engine.ts', import.meta.url))
process.env.CHECKPOINT_DISABLE ??= '1'

export default defineConfig({
  schema: fileURLToPath(new URL('./schema.prisma', import.meta.url)),
  migrations: { path: fileURLToPath(new URL('./migrations', import.meta.url)) },
  datasource: { url: process.env.DATABASE_URL ?? 'postgresql://understudy@127.0.0.1:5432/understudy' },
})

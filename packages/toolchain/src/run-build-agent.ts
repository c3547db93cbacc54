/** Builds the agent's program for this platform, or with `--all` for all of them. Run by `build-agent.mjs`. */
import {
  buildAgentPrograms,
  ownPlatform,
  programCache,
  programFolder,
  programPlatforms,
} from './agent-program.ts'

const own = ownPlatform()
const platforms = process.argv.includes('--all') ? programPlatforms : own === null ? [] : [own]
if (platforms.length === 0) throw new Error('There is no agent for this platform; --all builds the others')
const { programs } = await buildAgentPrograms({
  folder: programFolder,
  platforms,
  cacheFolder: programCache,
})
for (const { file, bytes, sha256 } of Object.values(programs))
  console.log(`apps/agent/dist/${file}  ${bytes} bytes  sha256 ${sha256}`)

/** Builds the agent's program for this platform, with `--all` for all of them, with `--again` for those that were built before. Run by `build-agent.mjs`. */
import {
  buildAgentPrograms,
  ownPlatform,
  programCache,
  programFolder,
  programPlatforms,
  readManifest,
} from './agent-program.ts'

const own = ownPlatform()
const isGiven = (option: string): boolean => process.argv.includes(option)
const before = readManifest(programFolder)?.programs ?? {}
const platforms = programPlatforms.filter(
  (platform) => isGiven('--all') || (isGiven('--again') ? before[platform] !== undefined : platform === own),
)
if (platforms.length === 0) throw new Error('There is no agent for this platform; --all builds the others')
const { programs } = await buildAgentPrograms({
  folder: programFolder,
  platforms,
  cacheFolder: programCache,
})
for (const { file, bytes, sha256 } of Object.values(programs))
  console.log(`apps/agent/dist/${file}  ${bytes} bytes  sha256 ${sha256}`)

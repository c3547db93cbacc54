/** Builds the rescue image, with the agent as one file in it. Run by `build-rescue.mjs`. */
import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { buildAgentPrograms, programCache, programFolder } from './agent-program.ts'
import { buildRescueImage, rescueImageFile } from './rescue-image.ts'

const text = { type: 'string' } as const
const { values } = parseArgs({
  options: {
    server: text,
    token: text,
    fingerprint: text,
    proxy: text,
    mirror: text,
    output: text,
    again: { type: 'boolean' },
  },
})
const { mirror, output, again, ...settings } = values
const { programs } = await buildAgentPrograms({
  folder: programFolder,
  platforms: ['linux-x64'],
  cacheFolder: programCache,
})
const program = programs['linux-x64']
if (program === undefined) throw new Error('The agent was not built')
const file = resolve(output ?? rescueImageFile)
await buildRescueImage({
  file,
  program: { [join(programFolder, program.file)]: 'usr/local/bin/understudy-agent' },
  settings: Object.fromEntries(
    Object.entries(settings).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  ),
  ...(mirror === undefined ? {} : { mirror }),
  ...(again === undefined ? {} : { again }),
})
console.log(`${file}  ${(await stat(file)).size} bytes`)
console.log(`Onto a stick:  dd if=${file} of=/dev/sdX bs=4M oflag=direct    (all that is on the stick goes)`)
if (settings.token !== undefined) console.log('The token in it works once: for one computer.')

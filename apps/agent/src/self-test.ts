// Whether this program can be an agent on this server at all, before it takes the place of another one.
import { generateKeyPairSync, sign, verify } from 'node:crypto'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { agentVersion } from './agent-version.ts'
import { lookAround, roomAt } from './look-around.ts'
import { defaultFolder, openStateFolder } from './state-folder.ts'
import { selfTestAnswer } from './take-program.ts'

/** Throws where something is missing; otherwise what the other program wants to hear. */
export async function selfTest(): Promise<string> {
  const text = Buffer.from('understudy')
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  if (!verify(null, text, publicKey, sign(null, text, privateKey)))
    throw new Error('What is signed here is not recognised here')
  if (!zstdDecompressSync(zstdCompressSync(text)).equals(text))
    throw new Error('What is packed here is not the same when it is unpacked')
  await lookAround()
  const folder = await openStateFolder(defaultFolder(process.env))
  await roomAt(folder.path)
  // It reads what the program before has kept, and refuses what it would not understand.
  await Promise.all([folder.identity(), folder.progress()])
  return selfTestAnswer(agentVersion)
}

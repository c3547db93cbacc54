// How the browser is started, for tests and benches alike.
import { existsSync } from 'node:fs'

/** The distribution's; where it has none, the runner's own. */
const executable = process.env.CHROMIUM ?? ['/usr/bin/chromium'].find((file) => existsSync(file))

/** No graphics processor is used, so that figures mean the same everywhere; nothing calls out. */
export const browserLaunch = {
  ...(executable === undefined ? {} : { executablePath: executable }),
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
}

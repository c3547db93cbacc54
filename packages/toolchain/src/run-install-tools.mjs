/** Installs the programs that the tests need, and the Debian packages that are named on the command line. */
import { installTools } from './install-tools.mjs'

await installTools(process.argv.slice(2))

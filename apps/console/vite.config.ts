import { minifyContractRouter } from '@orpc/contract'
import { contract } from '@understudy/contract/api'
import react from '@vitejs/plugin-react'
import { defineConfig, type Plugin } from 'vite'

const server = process.env.UNDERSTUDY_SERVER ?? 'http://127.0.0.1:4600'

/**
 * The browser needs the paths and methods of the contract; its schemas, and the library that they are made with, are for
 * the server. Without them every page loads a fifth less.
 */
const contractOutline: Plugin = {
  name: 'contract-outline',
  load: {
    filter: { id: /\/packages\/contract\/src\/api\.ts$/ },
    handler: () => `export const contract = ${JSON.stringify(minifyContractRouter(contract))}`,
  },
}

export default defineConfig({
  plugins: [contractOutline, react()],
  build: {
    target: 'es2022',
    // From it the tests add up what each page has to load.
    manifest: true,
    rolldownOptions: {
      output: {
        codeSplitting: {
          // Only what every page needs as a whole. A group takes a library with all that any page uses of it.
          groups: [{ name: 'react', test: /node_modules\/(react|react-dom|scheduler)\// }],
        },
      },
    },
  },
  server: {
    proxy: {
      // The host stays as the browser named it: the server refuses what comes from another origin.
      '/api': { target: server, changeOrigin: false },
      '/socket.io': { target: server.replace('http', 'ws'), ws: true },
    },
  },
})

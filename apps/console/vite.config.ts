import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

const server = process.env.UNDERSTUDY_SERVER ?? 'http://127.0.0.1:4600'

export default defineConfig({
  plugins: [react()],
  build: {
    target: 'es2022',
    chunkSizeWarningLimit: 700,
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            { name: 'react', test: /node_modules\/(react|react-dom|scheduler)\// },
            { name: 'mantine', test: /node_modules\/@mantine\// },
          ],
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

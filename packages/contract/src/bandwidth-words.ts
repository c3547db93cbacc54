// The words of a calendar, as the server has them. Without schemas, which a browser would load in vain.

// biome-ignore lint/performance/noBarrelFile: a browser imports nothing but the contract, and these words are part of it.
export { MOST_BANDWIDTH_RULES, wordsOfBandwidth } from '@understudy/domain/sites/bandwidth'

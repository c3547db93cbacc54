/** As `understudy-agent --version` and every hello say it. */
export const agentVersion = '0.1.0'

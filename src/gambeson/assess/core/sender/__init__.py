"""Who may send in a domain's name, judged from DNS answers alone: SPF, DKIM, DMARC and what stands on them.

Each module has ``report(domain, answers, ...)``, which raises WantedError until everything it needs is answered.
"""
